-- Begins the transaction of a `sql` handler: holds the task, so that neither the recovery nor another worker takes it, and
-- gives every statement the task's time. No row where the task is not this worker's any more.
begin;
select set_config('statement_timeout', :timeout, true)
from pgflow.step_tasks t
where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
  and t.status = 'started' and t.last_worker_id = :worker
for no key update
