{#- Counts the runs of the flows in `slugs`: started ones, and all. A flow without runs has no row. -#}
select flow_slug, count(*) filter (where status = 'started') as started, count(*) as total
from pgflow.runs
where flow_slug = any ({{ slugs | array }})
group by flow_slug
