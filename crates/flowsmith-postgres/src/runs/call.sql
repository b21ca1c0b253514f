{#- Calls a function that returns a run: starts one, by the flow's name where this is its current version, else by slug;
    cancels one; takes one up again. Gives no rows: a statement does not see what the functions in it have done. The run's id
    is kept for the next statements of the transaction. -#}
select
from (
  select set_config('flowsmith.run_id', r.run_id::text, true) as run_id
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
{% else %}
{% if what == "cancel" %}
  from pgflow.cancel_run({{ run_id | literal }}::uuid{% if reason is not none %}, {{ reason | literal }}{% endif %}) r
{% else %}
  from pgflow.retry_run({{ run_id | literal }}::uuid) r
{% endif %}
{% endif %}
  offset 0
) call
where call.run_id is null
