{#- Calls a function that returns a run: starts one (by the flow's name if its current version is requested, else by slug),
    cancels one or retries one. Returns no rows, because a statement does not see the changes of the functions that it
    calls. The setting flowsmith.run_id passes the run's id to the next statements of the transaction. -#}
select
from (
  select set_config('flowsmith.run_id', run.run_id::text, true) as run_id
{% if what == "start" %}
{% if by_name %}
  from flowsmith.start_flow({{ flow | literal }}, {{ input | literal }}::jsonb
{% else %}
  from pgflow.start_flow({{ slug | literal }}, {{ input | literal }}::jsonb
{% endif %}
{% if run_id %}
  , {{ run_id | literal }}::uuid
{% endif %}
  ) run
{% else %}
{% if what == "cancel" %}
  from pgflow.cancel_run({{ run_id | literal }}::uuid{% if reason is not none %}, {{ reason | literal }}{% endif %}) run
{% else %}
  from pgflow.retry_run({{ run_id | literal }}::uuid) run
{% endif %}
{% endif %}
  offset 0
) call
where call.run_id is null
