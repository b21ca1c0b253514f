{#- Starts a run with this id. -#}
select r.status from pgflow.start_flow({{ flow | literal }}, {{ input | literal }}::jsonb, {{ run_id | literal }}::uuid) r
