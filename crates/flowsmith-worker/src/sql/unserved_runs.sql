-- Returns those of the flows that have started runs, with the numbers of started runs and of live workers.
select flow.slug, started.runs, live.workers
from unnest(:flows) flow (slug)
cross join lateral (
  select count(*) as runs from pgflow.runs r where r.flow_slug = flow.slug and r.status = 'started' offset 0) started
cross join lateral (
  select count(*) as workers from pgflow.workers w
  where w.queue_name = flow.slug and w.last_heartbeat_at > clock_timestamp() - interval '30 seconds'
    and w.deprecated_at is null :not_stopped offset 0) live
where started.runs > 0
