-- Begins the transaction of a `sql` handler: locks the task, so that neither recovery nor another worker can claim it, and
-- sets the task's timeout for every statement. No row if the task no longer belongs to this worker.
begin;
select set_config('statement_timeout', :timeout, true)
from pgflow.step_tasks t
where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
  and t.status = 'started' and t.last_worker_id = :worker
for no key update
