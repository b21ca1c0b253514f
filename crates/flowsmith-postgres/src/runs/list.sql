{#- Returns the runs that changed last. Each branch reads an index of flowsmith's engine: started runs by flow; ended runs by
    their end, newest first, limited to a window; and, only if too few runs in the window match, the ended runs of each
    requested flow. An official engine has no index on the end; its runs are read once.
    A cancelled run has the status failed and no failed step. -#}
{% set matches %}
r.flow_slug = any ({{ slugs | array }})
{%- if status %} and r.status = {{ ("failed" if status == "cancelled" else status) | literal }}{% endif %}
{%- if status in ["failed", "cancelled"] %} and {% if status == "cancelled" %}not {% endif %}exists (
      select from pgflow.step_states s where s.run_id = r.run_id and s.status = 'failed' offset 0){% endif %}
{% endset %}
{% set recent %}
{% if since %} and coalesce(r.completed_at, r.failed_at) >= statement_timestamp() - make_interval(secs => {{ since }}){% endif %}
{% endset %}
with started as materialized (
  select r.run_id, r.started_at as changed_at from pgflow.runs r
  where r.status = 'started' and {{ matches }}
  order by 2 desc limit {{ limit }}
),
{% if engine.operations %}
ended as materialized (
  select r.run_id, r.flow_slug, r.status, coalesce(r.completed_at, r.failed_at) as changed_at from pgflow.runs r
  where (r.completed_at is not null or r.failed_at is not null) {{ recent }}
  order by coalesce(r.completed_at, r.failed_at) desc limit {{ window }}
),
in_window as materialized (
  select r.run_id, r.changed_at from ended r where {{ matches }} order by r.changed_at desc limit {{ limit }}
),
beyond_window as materialized (
  select r.run_id, r.changed_at
  from (select where (select count(*) from in_window) < {{ limit }} and (select count(*) from ended) = {{ window }}) too_few
  cross join lateral (
    select r.run_id, coalesce(r.completed_at, r.failed_at) as changed_at from pgflow.runs r
    where r.status <> 'started' and r.status = any (array['completed', 'failed']) and {{ matches }} {{ recent }} offset 0) r
  order by r.changed_at desc limit {{ limit }}
),
{% else %}
in_window as materialized (
  select r.run_id, coalesce(r.completed_at, r.failed_at) as changed_at from pgflow.runs r
  where r.status <> 'started' and {{ matches }} {{ recent }}
  order by 2 desc limit {{ limit }}
),
beyond_window as (select * from in_window limit 0),
{% endif %}
chosen as (
  select * from started
  union all (select * from in_window where not exists (select from beyond_window))
  union all select * from beyond_window
  order by changed_at desc limit {{ limit }}
)
{% include "run_summary.sql" %}
order by chosen_run.changed_at desc, chosen_run.run_id
