{#- The runs to which something happened last. Each branch reads an index that flowsmith's engine has: runs under way by
    flow; runs by their end, newest first, a window of them; and only where too few of those suit, the runs of each flow
    that is asked for. An official engine has no index of ends, and reads its runs once.
    Those that were cancelled have failed, and no step of theirs has. -#}
{% set suits %}
r.flow_slug = any ({{ slugs | array }})
{%- if status %} and r.status = {{ ("failed" if status == "cancelled" else status) | literal }}{% endif %}
{%- if status in ["failed", "cancelled"] %} and {% if status == "cancelled" %}not {% endif %}exists (
      select from pgflow.step_states s where s.run_id = r.run_id and s.status = 'failed' offset 0){% endif %}
{% endset %}
{% set recent %}
{% if since %} and coalesce(r.completed_at, r.failed_at) >= statement_timestamp() - make_interval(secs => {{ since }}){% endif %}
{% endset %}
with under_way as materialized (
  select r.run_id, r.started_at as changed_at from pgflow.runs r
  where r.status = 'started' and {{ suits }}
  order by 2 desc limit {{ limit }}
),
{% if engine.operations %}
ended as materialized (
  select r.run_id, r.flow_slug, r.status, coalesce(r.completed_at, r.failed_at) as changed_at from pgflow.runs r
  where (r.completed_at is not null or r.failed_at is not null) {{ recent }}
  order by coalesce(r.completed_at, r.failed_at) desc limit {{ window }}
),
near as materialized (
  select r.run_id, r.changed_at from ended r where {{ suits }} order by r.changed_at desc limit {{ limit }}
),
far as materialized (
  select r.run_id, r.changed_at
  from (select where (select count(*) from near) < {{ limit }} and (select count(*) from ended) = {{ window }}) too_few
  cross join lateral (
    select r.run_id, coalesce(r.completed_at, r.failed_at) as changed_at from pgflow.runs r
    where r.status <> 'started' and r.status = any (array['completed', 'failed']) and {{ suits }} {{ recent }} offset 0) r
  order by r.changed_at desc limit {{ limit }}
),
{% else %}
near as materialized (
  select r.run_id, coalesce(r.completed_at, r.failed_at) as changed_at from pgflow.runs r
  where r.status <> 'started' and {{ suits }} {{ recent }}
  order by 2 desc limit {{ limit }}
),
far as (select * from near limit 0),
{% endif %}
chosen as (
  select * from under_way
  union all (select * from near where not exists (select from far))
  union all select * from far
  order by changed_at desc limit {{ limit }}
)
{% include "run_summary.sql" %}
order by c.changed_at desc, c.run_id
