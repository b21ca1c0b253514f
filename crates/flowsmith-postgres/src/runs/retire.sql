{#- Counts the started and the ended runs of each flow version, by the index on flows. -#}
select started.runs as under_way, ended.runs as ended
from unnest({{ slugs | array }}) with ordinality flow (slug, position)
cross join lateral (
  select count(*) as runs from pgflow.runs r where r.flow_slug = flow.slug and r.status = 'started' offset 0) started
cross join lateral (
  select count(*) as runs from pgflow.runs r
  where r.flow_slug = flow.slug and r.status in ('completed', 'failed') offset 0) ended
order by flow.position
