{#- What is in each queue. A queue holds unfinished tasks only, so it is counted. -#}
{% set by = "flow_slug" %}
with {% include "running_tasks.sql" %},
alive as materialized (
  select w.queue_name, count(*) as workers from pgflow.workers w
  where w.deprecated_at is null {% if engine.conditions %}and w.stopped_at is null{% endif %}
    and w.last_heartbeat_at > clock_timestamp() - make_interval(secs => {{ silent_after }})
  group by w.queue_name
),
depth as (
{% for queue in queues %}
  select {{ loop.index }} as place, {{ queue.slug | literal }} as slug,
{% if queue.exists %}
    count(*) as messages, count(*) filter (where q.vt <= clock_timestamp()) as waiting,
    extract(epoch from clock_timestamp() - min(q.vt) filter (where q.vt <= clock_timestamp()))::float8 as longest_wait_seconds,
    extract(epoch from clock_timestamp() - min(q.enqueued_at))::float8 as oldest_seconds
  from pgmq.{{ queue.table | identifier }} q
{% else %}
    null::bigint as messages, 0::bigint as waiting, null::float8 as longest_wait_seconds, null::float8 as oldest_seconds
{% endif %}
  {% if not loop.last %}union all{% endif %}
{% endfor %}
)
select d.slug, d.slug as flow, 1 as version, false as is_paused, d.messages, d.waiting, d.longest_wait_seconds, d.oldest_seconds,
  coalesce(h.tasks, 0) as in_flight, greatest(coalesce(d.messages, 0) - d.waiting - coalesce(h.tasks, 0), 0) as delayed,
  coalesce(a.workers, 0) as workers
from depth d
left join running h on h.flow_slug = d.slug
left join alive a on a.queue_name = d.slug
order by d.place
