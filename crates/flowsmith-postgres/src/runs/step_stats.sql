{#- Counts the outcomes of the steps of runs that ended in the last `since` seconds, with percentiles of the durations of
    completed ones, in the order of their definition. -#}
with ended as materialized (
  select r.run_id, r.flow_slug
  from (
    select r.run_id, r.flow_slug from pgflow.runs r
    where coalesce(r.completed_at, r.failed_at) >= statement_timestamp() - make_interval(secs => {{ since }})
      and (r.completed_at is not null or r.failed_at is not null) offset 0) r
  where r.flow_slug = any ({{ slugs | array }})
),
counted as (
  select e.flow_slug, s.step_slug, count(*) filter (where s.status = 'completed') as completed,
    count(*) filter (where s.status = 'failed') as failed, count(*) filter (where s.status = 'skipped') as skipped,
    percentile_cont(array[0.5, 0.95, 1]) within group (order by s.seconds) filter (where s.status = 'completed' and s.seconds is not null) as percentiles
  from ended e
  cross join lateral (
    select s.step_slug, s.status, {{ seconds("s.started_at", "s.completed_at") }} as seconds
    from pgflow.step_states s where s.run_id = e.run_id offset 0) s
  group by e.flow_slug, s.step_slug
)
select definition.flow_slug as slug, jsonb_build_object(
  'step', definition.step_slug, 'completed', coalesce(counted.completed, 0), 'failed', coalesce(counted.failed, 0), 'skipped', coalesce(counted.skipped, 0),
  'durations', case when counted.percentiles is not null then
    jsonb_build_object('p50', counted.percentiles[1], 'p95', counted.percentiles[2], 'max', counted.percentiles[3]) end) as stats
from pgflow.steps definition
left join counted on counted.flow_slug = definition.flow_slug and counted.step_slug = definition.step_slug
where definition.flow_slug = any ({{ slugs | array }})
order by definition.flow_slug, definition.step_index
