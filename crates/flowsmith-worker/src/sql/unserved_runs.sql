-- Of these flows, those with running runs: the number of runs, and the number of live workers.
select s.slug, r.runs, w.workers
from unnest(:flows) s (slug)
cross join lateral (
  select count(*) as runs from pgflow.runs r where r.flow_slug = s.slug and r.status = 'started' offset 0) r
cross join lateral (
  select count(*) as workers from pgflow.workers w
  where w.queue_name = s.slug and w.last_heartbeat_at > clock_timestamp() - interval '30 seconds'
    and w.deprecated_at is null :not_stopped offset 0) w
where r.runs > 0
