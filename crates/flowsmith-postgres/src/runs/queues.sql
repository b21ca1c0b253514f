{#- Returns the number and age of the messages in each queue, of the tasks in flight, and of live workers. Messages are
    counted, because a queue contains unfinished tasks only. -#}
{% set by = "flow_slug" %}
with {% include "running_tasks.sql" %},
live_workers as materialized (
  select w.queue_name, count(*) as workers from pgflow.workers w
  where w.deprecated_at is null {% if engine.conditions %}and w.stopped_at is null{% endif %}
    and w.last_heartbeat_at > clock_timestamp() - make_interval(secs => {{ silent_after }})
  group by w.queue_name
),
depth as (
{% for queue in queues %}
  select {{ loop.index }} as position, {{ queue.slug | literal }} as slug,
{% if queue.exists %}
    count(*) as messages, count(*) filter (where q.vt <= clock_timestamp()) as waiting,
    {{ seconds("min(q.vt) filter (where q.vt <= clock_timestamp())", "clock_timestamp()") }} as longest_wait_seconds,
    {{ seconds("min(q.enqueued_at)", "clock_timestamp()") }} as oldest_seconds
  from pgmq.{{ queue.table | identifier }} q
{% else %}
    null::bigint as messages, 0::bigint as waiting, null::float8 as longest_wait_seconds, null::float8 as oldest_seconds
{% endif %}
  {% if not loop.last %}union all{% endif %}
{% endfor %}
)
select depth.slug, depth.slug as flow, 1 as version, false as is_paused,
  depth.messages, depth.waiting, depth.longest_wait_seconds, depth.oldest_seconds,
  coalesce(running_tasks.tasks, 0) as in_flight,
  greatest(coalesce(depth.messages, 0) - depth.waiting - coalesce(running_tasks.tasks, 0), 0) as delayed,
  coalesce(live_workers.workers, 0) as workers
from depth
left join running_tasks on running_tasks.flow_slug = depth.slug
left join live_workers on live_workers.queue_name = depth.slug
order by depth.position
