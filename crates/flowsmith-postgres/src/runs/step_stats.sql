{#- Steps of the runs that ended within some time, in the order of their definition. -#}
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
    select s.step_slug, s.status, extract(epoch from s.completed_at - s.started_at)::float8 as seconds
    from pgflow.step_states s where s.run_id = e.run_id offset 0) s
  group by e.flow_slug, s.step_slug
)
select d.flow_slug as slug, jsonb_build_object(
  'step', d.step_slug, 'completed', coalesce(c.completed, 0), 'failed', coalesce(c.failed, 0), 'skipped', coalesce(c.skipped, 0),
  'durations', case when c.percentiles is not null then
    jsonb_build_object('p50', c.percentiles[1], 'p95', c.percentiles[2], 'max', c.percentiles[3]) end) as stats
from pgflow.steps d left join counted c on c.flow_slug = d.flow_slug and c.step_slug = d.step_slug
where d.flow_slug = any ({{ slugs | array }})
order by d.flow_slug, d.step_index
