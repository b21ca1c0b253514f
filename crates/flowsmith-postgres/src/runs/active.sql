{#- Returns those of the flow versions that have started runs. -#}
select flow.slug
from unnest({{ slugs | array }}) flow (slug)
where exists (select from pgflow.runs r where r.flow_slug = flow.slug and r.status = 'started' offset 0)
order by 1
