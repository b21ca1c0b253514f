{#- Counts the runs that ended more than `older_than` seconds ago, by the index on the end. If flow versions are named,
    `are_rare` tells whether all their runs are fewer than half of the other flows' runs of that age; then the index on
    flows finds them faster. -#}
{% if slugs is none %}
select count(*) as runs, false as are_rare
{% else %}
{% set matches = "r.flow_slug = any (" ~ (slugs | array) ~ ")" %}
select count(*) filter (where {{ matches }}) as runs,
  (select count(*) from pgflow.runs r where {{ matches }}) < count(*) filter (where not {{ matches }}) / 2 as are_rare
{% endif %}
from (
  select r.flow_slug from pgflow.runs r
  where coalesce(r.completed_at, r.failed_at) < statement_timestamp() - make_interval(secs => {{ older_than }})
    and (r.completed_at is not null or r.failed_at is not null) offset 0) r
