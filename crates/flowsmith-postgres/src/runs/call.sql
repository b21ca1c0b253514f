{#- Calls a function that starts a run (by the flow's name if its current version is requested, else by slug), cancels one
    or retries one. Returns no rows, because a statement does not see the changes of the functions that it calls. The
    settings flowsmith.run_id and flowsmith.has_changed pass the run's id, and whether the call changed it, to the next
    statement of the transaction. -#}
select
from (
{% if what == "start" %}
  select set_config('flowsmith.run_id', run.run_id::text, true) as run_id, set_config('flowsmith.has_changed', 'true', true) as has_changed
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
  select set_config('flowsmith.run_id', {{ run_id | literal }}, true) as run_id,
         set_config('flowsmith.has_changed', call.has_changed::text, true) as has_changed
{% if what == "cancel" %}
  from flowsmith.cancel_run({{ run_id | literal }}::uuid{% if reason is not none %}, {{ reason | literal }}{% endif %}) call (has_changed)
{% else %}
  from flowsmith.retry_run({{ run_id | literal }}::uuid) call (has_changed)
{% endif %}
{% endif %}
  offset 0
) call
where call.run_id is null
