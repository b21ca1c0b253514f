{#- How many runs ended longer ago than so many seconds, by the index of ends; and, where flow versions are named, whether these have
    fewer runs in all than half of what others have that is as old, so that they are found faster by the index of flows. -#}
{% if slugs is none %}
select count(*) as runs, false as are_rare
{% else %}
{% set suits = "r.flow_slug = any (" ~ (slugs | array) ~ ")" %}
select count(*) filter (where {{ suits }}) as runs,
  (select count(*) from pgflow.runs r where {{ suits }}) < count(*) filter (where not {{ suits }}) / 2 as are_rare
{% endif %}
from (
  select r.flow_slug from pgflow.runs r
  where coalesce(r.completed_at, r.failed_at) < statement_timestamp() - make_interval(secs => {{ older_than }})
    and (r.completed_at is not null or r.failed_at is not null) offset 0) r
