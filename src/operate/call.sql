{#- Calls a function that returns a run: starts one, by the flow's name where this is its current version, else by slug;
    cancels one; takes one up again. The columns of `RunSummary`, and what the run was before. -#}
select r.run_id, r.flow_slug as slug, r.flow_slug as flow, 1 as version, r.status, r.started_at,
  coalesce(r.completed_at, r.failed_at) as ended_at,
  extract(epoch from coalesce(r.completed_at, r.failed_at, clock_timestamp()) - r.started_at)::float8 as seconds,
  r.remaining_steps, (select count(*) from pgflow.step_states s where s.run_id = r.run_id) as steps,
  null as failure
{% if what == "start" %}
{% if by_name %}
from flowsmith.start_flow({{ flow | literal }}, {{ input | literal }}::jsonb
{% else %}
from pgflow.start_flow({{ slug | literal }}, {{ input | literal }}::jsonb
{% endif %}
{% if run_id %}
, {{ run_id | literal }}::uuid
{% endif %}
) r
{% elif what == "cancel" %}
, (select b.status from pgflow.runs b where b.run_id = {{ run_id | literal }}::uuid) as was
from pgflow.cancel_run({{ run_id | literal }}::uuid{% if reason is not none %}, {{ reason | literal }}{% endif %}) r
{% else %}
, (select b.status from pgflow.runs b where b.run_id = {{ run_id | literal }}::uuid) as was
from pgflow.retry_run({{ run_id | literal }}::uuid) r
{% endif %}
