{#- Those of the flow versions that have a run under way. -#}
select f.slug
from unnest({{ slugs | array }}) f (slug)
where exists (select from pgflow.runs r where r.flow_slug = f.slug and r.status = 'started' offset 0)
order by 1
