{#- Counts the runs of the flow versions in `slugs`: those that have started and not ended, and all. -#}
select r.flow_slug, count(*) filter (where r.status = 'started') as started, count(*) as total
from pgflow.runs r
where r.flow_slug = any (array[{% for slug in slugs %}{{ slug|literal }}{% if not loop.last %}, {% endif %}{% endfor %}]::text[])
group by r.flow_slug
