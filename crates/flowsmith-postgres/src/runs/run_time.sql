{#- Included behind a run `r`: when it was last retried, and for how many seconds it has been under way since that, or since
    its start; until its end, or the moment `now`. How long it lay failed before is nobody's work. Not known where `flowsmith.events` may
    not be read. Its index has them in this order; the fence leaves the planner no other. -#}
cross join lateral (
  select x.retried_at,
    greatest(extract(epoch from coalesce(r.completed_at, r.failed_at, {{ now }}) - coalesce(x.retried_at, r.started_at)), 0)::float8 as seconds
  from (
    select {% if engine.events %}(
      select max(e.happened_at) from (
        select e.happened_at from flowsmith.events e
        where e.kind = 'run-retried' and e.detail ->> 'run_id' = r.run_id::text offset 0) e){% else %}null::timestamptz{% endif %} as retried_at
    offset 0) x
) run_time
