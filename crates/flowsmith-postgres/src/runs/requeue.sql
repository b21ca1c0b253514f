{#- Recovers tasks whose worker has gone silent. -#}
select pgflow.requeue_stalled_tasks() as tasks
