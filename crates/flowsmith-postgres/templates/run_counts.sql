{#- Runs of the flows named in `slugs`: started ones and all. -#}
select flow_slug, count(*) filter (where status = 'started'), count(*)
from pgflow.runs
where flow_slug = any (array[{% for slug in slugs %}{{ slug|literal }}{% if not loop.last %}, {% endif %}{% endfor %}]::text[])
group by flow_slug
