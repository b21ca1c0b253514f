{#- Returns workers with their health and the number of tasks that they are running. -#}
{% set by = "last_worker_id" %}
with {% include "running_tasks.sql" %}
select w.worker_id, w.queue_name as queue, w.function_name as function, w.started_at, w.last_heartbeat_at,
  {{ seconds("w.last_heartbeat_at", "clock_timestamp()") }} as silent_seconds,
  coalesce(running_tasks.tasks, 0) as in_flight,
  case
{% if engine.conditions %}
    when w.stopped_at is not null then 'stopped'
{% endif %}
    when w.last_heartbeat_at <= clock_timestamp() - make_interval(secs => {{ silent_after }}) then 'silent'
    when w.deprecated_at is not null then 'deprecated'
    else 'alive' end as health
from pgflow.workers w
left join running_tasks on running_tasks.last_worker_id = w.worker_id
where true
{% if queues is not none %}
  and w.queue_name = any ({{ queues | array }})
{% endif %}
{% if not all %}
  and (running_tasks.tasks > 0 or w.last_heartbeat_at > clock_timestamp() - interval '1 day'{% if engine.conditions %} and w.stopped_at is null{% endif %})
  -- Leaves out the silent workers of deleted flow versions.
  and (w.last_heartbeat_at > clock_timestamp() - make_interval(secs => {{ silent_after }})
    or exists (select from pgflow.flows f where f.flow_slug = w.queue_name))
{% endif %}
order by w.last_heartbeat_at desc, w.worker_id
