{#- Requeues stalled tasks and returns their number. On flowsmith's engine, that is recorded. -#}
select {% if engine.operations %}flowsmith{% else %}pgflow{% endif %}.requeue_stalled_tasks() as tasks
