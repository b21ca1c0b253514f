{#- Completes tasks: one by one if the engine has no batches, else in one call. -#}
{% if is_batch %}
select t.status from pgflow.complete_tasks(
  {{ run_ids | array }}::uuid[], {{ steps | array }}, array[{{ indexes | join(", ") }}]::integer[], {{ outputs | array }}::jsonb[]) t
{% else %}
select t.status from pgflow.complete_task(
  {{ run_ids[0] | literal }}::uuid, {{ steps[0] | literal }}, {{ indexes[0] }}, {{ outputs[0] | literal }}::jsonb) t
{% endif %}
