-- Fails an attempt if the task still belongs to this worker: after a recovery, another worker may have claimed it. The lock
-- waits for a transaction that may be completing the task, and keeps the recovery away.
select t.status
from (
  select from pgflow.step_tasks x
  where x.run_id = :run_id and x.step_slug = :step_slug and x.task_index = :task_index
    and x.status = 'started' and x.last_worker_id = :worker
  for no key update
) mine
cross join lateral pgflow.fail_task(:run_id, :step_slug, :task_index, :message) t
