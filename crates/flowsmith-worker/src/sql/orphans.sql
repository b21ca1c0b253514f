-- Tasks that were started for this worker lately: it does not have all of them where a connection was cut while it polled. The
-- engine has an index on the tasks that somebody works on.
select t.run_id::text, t.step_slug, t.task_index
from pgflow.step_tasks t
where t.started_at > clock_timestamp() - interval '1 hour' and t.started_at is not null
  and t.completed_at is null and t.failed_at is null :stalled
  and t.status = 'started' and t.last_worker_id = :worker
