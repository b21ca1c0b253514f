{#- What is in each queue. A queue holds unfinished tasks only, so it is counted; tasks in hand are found by an index that
    holds no other. Of failed runs, tasks may be left in it; they are in nobody's hands any more. -#}
with in_hand as materialized (
  select t.flow_slug, count(*) as tasks
  from (
    select t.flow_slug, t.run_id from pgflow.step_tasks t
    where t.status = 'started' and t.started_at is not null
{% if engine.conditions %}
      and t.completed_at is null and t.failed_at is null and t.permanently_stalled_at is null
{% endif %}
    offset 0) t
  cross join lateral (select r.status from pgflow.runs r where r.run_id = t.run_id offset 0) r
  where r.status = 'started'
  group by t.flow_slug
),
alive as materialized (
  select w.queue_name, count(*) as workers from pgflow.workers w
  where w.deprecated_at is null {% if engine.conditions %}and w.stopped_at is null{% endif %}
    and w.last_heartbeat_at > clock_timestamp() - make_interval(secs => {{ silent_after }})
  group by w.queue_name
),
depth as (
{% for queue in queues %}
  select {{ loop.index }} as place, {{ queue.slug | literal }} as slug,
{% if queue.is_there %}
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
left join in_hand h on h.flow_slug = d.slug
left join alive a on a.queue_name = d.slug
order by d.place
