{#- Included after a run `r`: the time of its last retry, and for how many seconds it has been running since then, or since its
    start, until its end or the moment `now`. The time between a failure and the retry does not count. The retry is unknown
    if the role cannot read `flowsmith.events`. The index events_by_run has the condition of the inner query; `offset 0`
    leaves the planner no other plan. -#}
cross join lateral (
  select retry.retried_at,
    greatest({{ seconds("coalesce(retry.retried_at, r.started_at)", "coalesce(r.completed_at, r.failed_at, " ~ now ~ ")") }}, 0) as seconds
  from (
    select {% if engine.events %}(
      select max(event.happened_at) from (
        select e.happened_at from flowsmith.events e
        where e.kind = 'run-retried' and e.detail ->> 'run_id' = r.run_id::text offset 0) event){% else %}null::timestamptz{% endif %} as retried_at
    offset 0) retry
) run_time
