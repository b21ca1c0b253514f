{#- How many runs of each flow version are under way, and how many have ended, by the index of flows. -#}
select w.under_way, e.ended
from unnest({{ slugs | array }}) with ordinality s (slug, place)
cross join lateral (
  select count(*) as under_way from pgflow.runs r where r.flow_slug = s.slug and r.status = 'started' offset 0) w
cross join lateral (
  select count(*) as ended from pgflow.runs r where r.flow_slug = s.slug and r.status in ('completed', 'failed') offset 0) e
order by s.place
