{#- Workers with their health and the tasks that they have in hand, which an index finds that holds no others. Of
    failed runs, tasks may be left in it. -#}
with in_hand as materialized (
  select t.last_worker_id, count(*) as tasks
  from (
    select t.last_worker_id, t.run_id from pgflow.step_tasks t
    where t.status = 'started' and t.started_at is not null
{% if engine.conditions %}
      and t.completed_at is null and t.failed_at is null and t.permanently_stalled_at is null
{% endif %}
    offset 0) t
  cross join lateral (select r.status from pgflow.runs r where r.run_id = t.run_id offset 0) r
  where r.status = 'started'
  group by t.last_worker_id
)
select w.worker_id, w.queue_name as queue, w.function_name as function, w.started_at, w.last_heartbeat_at,
  extract(epoch from clock_timestamp() - w.last_heartbeat_at)::float8 as silent_seconds,
  coalesce(h.tasks, 0) as in_flight,
  case
{% if engine.conditions %}
    when w.stopped_at is not null then 'stopped'
{% endif %}
    when w.last_heartbeat_at <= clock_timestamp() - make_interval(secs => {{ silent_after }}) then 'silent'
    when w.deprecated_at is not null then 'deprecated'
    else 'alive' end as health
from pgflow.workers w
left join in_hand h on h.last_worker_id = w.worker_id
where true
{% if queues is not none %}
  and w.queue_name = any ({{ queues | texts }})
{% endif %}
{% if not all %}
  and (h.tasks > 0 or w.last_heartbeat_at > clock_timestamp() - interval '1 day'{% if engine.conditions %} and w.stopped_at is null{% endif %})
{% endif %}
order by w.last_heartbeat_at desc, w.worker_id
