-- Fails an attempt if the task still belongs to this worker: after a recovery, another worker may have claimed it. The row
-- lock waits for a transaction that may be completing the task, and blocks the recovery.
select failed.status
from (
  select from pgflow.step_tasks t
  where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
    and t.status = 'started' and t.last_worker_id = :worker
  for no key update
) own_task
cross join lateral pgflow.fail_task(:run_id, :step_slug, :task_index, :message) failed
