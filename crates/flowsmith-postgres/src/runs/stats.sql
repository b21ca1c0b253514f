{#- Counts the runs of flow versions that ended in the last `since` seconds, by the index on the end, with percentiles of the
    durations of completed ones; and the started runs, by the index on flows. A failed run without a failed step was
    cancelled. -#}
{% set now = "clock_timestamp()" %}
with ended as materialized (
  select r.flow_slug, case when r.status = 'failed' and not exists (
      select from pgflow.step_states s where s.run_id = r.run_id and s.status = 'failed' offset 0) then 'cancelled' else r.status end as status,
    run_time.seconds
  from (
    select r.run_id, r.flow_slug, r.status, r.started_at, r.completed_at, r.failed_at from pgflow.runs r
    where coalesce(r.completed_at, r.failed_at) >= statement_timestamp() - make_interval(secs => {{ since }})
      and (r.completed_at is not null or r.failed_at is not null) offset 0) r
  {% include "run_time.sql" %}
  where r.flow_slug = any ({{ slugs | array }})
),
counted as (
  select e.flow_slug, count(*) filter (where e.status = 'completed') as completed, count(*) filter (where e.status = 'failed') as failed,
    count(*) filter (where e.status = 'cancelled') as cancelled,
    percentile_cont(array[0.5, 0.95, 1]) within group (order by e.seconds) filter (where e.status = 'completed') as percentiles
  from ended e group by e.flow_slug
)
select flow.slug, started.runs as under_way, coalesce(counted.completed, 0) as completed, coalesce(counted.failed, 0) as failed, coalesce(counted.cancelled, 0) as cancelled,
  case when counted.percentiles is not null then
    jsonb_build_object('p50', counted.percentiles[1], 'p95', counted.percentiles[2], 'max', counted.percentiles[3]) end as durations
from unnest({{ slugs | array }}) flow (slug)
cross join lateral (
  select count(*) as runs from pgflow.runs r where r.flow_slug = flow.slug and r.status = 'started' offset 0) started
left join counted on counted.flow_slug = flow.slug
