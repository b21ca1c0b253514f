-- What became of a task, and, where its output was refused because a map needs an array, what the engine said.
select t.status, case when t.status = 'failed' and t.error_message like '[TYPE\_VIOLATION]%' then t.error_message end
from pgflow.step_tasks t
where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
