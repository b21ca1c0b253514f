-- The status of a task, and the engine's error message if it rejected the output because a map requires an array.
select t.status, case when t.status = 'failed' and t.error_message like '[TYPE\_VIOLATION]%' then t.error_message end as rejection
from pgflow.step_tasks t
where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
