-- Fails an attempt, where it is still this worker's: after a recovery somebody else may be at work on the task. The lock waits
-- for a transaction that may be completing it, and keeps the recovery away.
select t.status
from (
  select from pgflow.step_tasks x
  where x.run_id = :run_id and x.step_slug = :step_slug and x.task_index = :task_index
    and x.status = 'started' and x.last_worker_id = :worker
  for no key update
) mine
cross join lateral pgflow.fail_task(:run_id, :step_slug, :task_index, :message) t
