{#- Returns the tasks of one flow version that do not progress, by step and cause. Reads the started runs by their index, their
    steps and tasks by key, and messages by id, so that the cost depends on the number of unfinished tasks only. -#}
with clock as materialized (select clock_timestamp() as now),
worker_health as materialized (
  {% include "last_worker.sql" %}
),
run as materialized (
  select r.run_id, r.started_at from pgflow.runs r where r.flow_slug = {{ slug | literal }} and r.status = 'started'
),
task as materialized (
  select run.run_id, s.step_slug, t.task_index, t.status, t.attempts_count, t.queued_at, t.started_at, t.message_id,
    t.last_worker_id, t.permanently_stalled_at,
    coalesce(definition.opt_timeout, f.opt_timeout) as timeout,
    coalesce(definition.opt_base_delay, f.opt_base_delay) as base_delay,
    coalesce(definition.opt_start_delay, 0) as start_delay,
    message.msg_id, message.vt, coalesce(message.read_ct, 0) as read_ct
  from run
  cross join lateral (
    select s.step_slug from pgflow.step_states s where s.run_id = run.run_id and s.status = 'started' offset 0) s
  cross join lateral (
    select t.task_index, t.status, t.attempts_count, t.queued_at, t.started_at, t.message_id, t.last_worker_id,
      {% if engine.conditions %}t.permanently_stalled_at{% else %}null::timestamptz as permanently_stalled_at{% endif %}
    from pgflow.step_tasks t
    where t.run_id = run.run_id and t.step_slug = s.step_slug and t.status in ('queued', 'started') offset 0) t
  join pgflow.steps definition on definition.flow_slug = {{ slug | literal }} and definition.step_slug = s.step_slug
  join pgflow.flows f on f.flow_slug = {{ slug | literal }}
{% if has_queue %}
  left join lateral (
    select q.msg_id, q.vt, q.read_ct from pgmq.{{ table | identifier }} q where q.msg_id = t.message_id offset 0) message on true
{% else %}
  cross join (select null::bigint as msg_id, null::timestamptz as vt, null::int as read_ct) message
{% endif %}
),
classified as (
  select t.*, clock.now,
    case
      when t.status = 'started' then case
        when t.permanently_stalled_at is not null then 'given-up'
        when t.started_at < clock.now - make_interval(secs => t.timeout) - interval '{% if engine.conditions %}30{% else %}2{% endif %} seconds' then 'timed-out'
        when w.worker_id is not null and ({% if engine.conditions %}w.stopped_at is not null or {% endif %}
          w.last_heartbeat_at <= clock.now - make_interval(secs => {{ silent_after }})) then 'worker-gone'
        end
{% if not has_queue %}
      else 'queue-missing'
{% else %}
      when t.msg_id is null then 'message-missing'
{% if is_paused %}
      else 'paused'
{% else %}
      when t.vt = 'infinity' then 'parked'
      when t.vt > clock.now and t.read_ct > t.attempts_count then 'message-hidden'
      -- Later than any delay that the engine sets.
      when t.vt > interval '5 s' + case
        when t.attempts_count > 0 then clock.now + make_interval(secs => least(t.base_delay * 2 ^ least(t.attempts_count, 30), 2147483647))
        else greatest(t.queued_at + make_interval(secs => t.start_delay), clock.now) end then 'message-hidden'
      when t.vt > clock.now and t.attempts_count > 0 then 'retrying'
      when t.vt > clock.now then 'delayed'
      when worker_health.workers = 0 then 'no-worker'
      else 'busy'
{% endif %}
{% endif %}
    end as cause,
    {{ seconds("since.at", "clock.now") }} as seconds
  from task t
  cross join clock
  cross join lateral (
    select case
      when t.status = 'started' then t.started_at
      when t.vt <= clock.now then greatest(t.queued_at, t.vt)
      else t.queued_at end as at) since
  cross join worker_health
  left join pgflow.workers w on w.worker_id = t.last_worker_id
),
stuck as (
  select t.step_slug as step, t.cause, t.seconds, t.run_id, t.task_index, t.message_id, t.timeout,
    case when t.cause in ('delayed', 'retrying', 'message-hidden') then {{ seconds("t.now", "t.vt") }} end as moves_in_seconds
  from classified t where t.cause is not null and t.seconds >= {{ at_least }}
  union all
  select null, 'nothing-under-way', {{ seconds("run.started_at", "clock.now") }}, run.run_id, null, null, null, null
  from run cross join clock
  -- `not in` prevents an anti-join as a nested loop, which scans all tasks for each run if the statistics underestimate them.
  where run.run_id not in (select t.run_id from task t) and run.started_at < clock.now - make_interval(secs => {{ at_least }})
)
select {{ slug | literal }} as slug, '' as flow, 1 as version, 'unmanaged' as state, s.step, s.cause, count(*) as tasks, max(s.seconds) as seconds,
  min(s.moves_in_seconds) as moves_in_seconds,
  (array_agg(s.run_id order by s.seconds desc, s.run_id))[1] as run_id,
  (array_agg(s.task_index order by s.seconds desc, s.run_id))[1] as task_index,
  (array_agg(s.message_id order by s.seconds desc, s.run_id))[1] as message_id,
  min(s.timeout) as timeout, min(worker_health.workers) as workers, min(worker_health.heartbeat_seconds) as heartbeat_seconds,
  min(worker_health.last_worker) as last_worker
from stuck s cross join worker_health
group by s.step, s.cause
order by 8 desc
