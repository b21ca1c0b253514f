{#- Runs of the flows named in `slugs`: started ones and all. -#}
select flow_slug, count(*) filter (where status = 'started') as started, count(*) as total
from pgflow.runs
where flow_slug = any ({{ slugs | array }})
group by flow_slug
