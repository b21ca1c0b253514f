{#- How many runs ended longer ago than so many seconds, by the index of ends. -#}
select count(*) as runs
from (
  select r.flow_slug from pgflow.runs r
  where coalesce(r.completed_at, r.failed_at) < statement_timestamp() - make_interval(secs => {{ older_than }})
    and (r.completed_at is not null or r.failed_at is not null) offset 0) r
{% if slugs is not none %}
where r.flow_slug = any ({{ slugs | texts }})
{% endif %}
