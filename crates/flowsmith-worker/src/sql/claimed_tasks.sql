-- Returns the tasks that were claimed for this worker in the last hour. If a connection was lost during a claim, the worker
-- does not know all of them. The conditions match the engine's partial index on running tasks.
select t.run_id::text, t.step_slug, t.task_index
from pgflow.step_tasks t
where t.started_at > clock_timestamp() - interval '1 hour' and t.started_at is not null
  and t.completed_at is null and t.failed_at is null :stalled
  and t.status = 'started' and t.last_worker_id = :worker
