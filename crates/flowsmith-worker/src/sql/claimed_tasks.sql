-- Tasks that were claimed for this worker within the last hour and have not ended. The worker does not know all of them if a
-- connection was lost during a claim. The engine has an index on claimed tasks.
select t.run_id::text as run_id, t.step_slug, t.task_index
from pgflow.step_tasks t
where t.started_at > clock_timestamp() - interval '1 hour' and t.started_at is not null
  and t.completed_at is null and t.failed_at is null :stalled
  and t.status = 'started' and t.last_worker_id = :worker
