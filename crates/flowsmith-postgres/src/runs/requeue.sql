{#- Requeues stalled tasks and returns their number. -#}
select pgflow.requeue_stalled_tasks() as tasks
