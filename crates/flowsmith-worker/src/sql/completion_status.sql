-- Returns the status of a task, and the engine's message if its output was rejected because a map step needs an array.
select t.status, case when t.status = 'failed' and starts_with(t.error_message, '[TYPE_VIOLATION]') then t.error_message end as rejection
from pgflow.step_tasks t
where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
