-- Begins a `sql` handler: locks the task, so that neither recovery nor another worker can claim it. No row if the task no longer
-- belongs to this worker.
select t.task_index
from pgflow.step_tasks t
where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
  and t.status = 'started' and t.last_worker_id = :worker
for no key update
