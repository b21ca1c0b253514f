{#- A run with its steps in the order of their definition. `cut`: how many characters of inputs and outputs, none = all.
    `max_tasks`: how many tasks of each step, none = all. `definitions`: whether
    the role may read the steps of flows and what they depend on. Everything is found by the run's id, and timed by one clock: that of the server, until the run's end. What
    the end of the run, or of the step, has left unfinished was cut off where it had been tried, else not run. -#}
{% set now = "clock.now" %}
with clock as materialized (select clock_timestamp() as now),
run as materialized (
  select r.*, coalesce(r.completed_at, r.failed_at, clock.now) as last_moment, run_time.retried_at, run_time.seconds
  from clock cross join pgflow.runs r
  {% include "run_time.sql" %}
  where r.run_id = {{ run_id | literal }}::uuid
),
state as materialized (
  select s.step_slug, s.status, run.status = 'started' and s.status in ('created', 'started') as is_live,
{% if definitions %}
    d.step_index, d.step_type, d.deps_count, coalesce(d.opt_max_attempts, f.opt_max_attempts) as max_attempts,
    array(select x.dep_slug from pgflow.deps x where x.flow_slug = s.flow_slug and x.step_slug = s.step_slug order by x.dep_slug) as depends_on,
{% else %}
    row_number() over (order by s.started_at nulls last, s.created_at, s.step_slug) as step_index,
    case when s.initial_tasks = 1 then 'single' else 'map' end as step_type, null::integer as deps_count, 0 as max_attempts,
    '{}'::text[] as depends_on,
{% endif %}
    s.error_message, s.started_at, s.initial_tasks,
{% if engine.conditions %}
    s.skip_reason, coalesce(s.completed_at, s.failed_at, s.skipped_at) as ended_at,
{% else %}
    null::text as skip_reason, coalesce(s.completed_at, s.failed_at) as ended_at,
{% endif %}
{% if not payloads %}
    null::jsonb as output,
{% elif engine.conditions %}
    s.output,
{% else %}
    case when s.status = 'completed' then (
      select case when {% if definitions %}d.step_type = 'map'{% else %}s.initial_tasks <> 1{% endif %} then coalesce(jsonb_agg(t.output order by t.task_index), '[]') else (array_agg(t.output))[1] end
      from pgflow.step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug) end as output,
{% endif %}
    s.run_id
  from run
  cross join lateral (select * from pgflow.step_states x where x.run_id = run.run_id offset 0) s
{% if definitions %}
  join pgflow.steps d on d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
  join pgflow.flows f on f.flow_slug = s.flow_slug
{% endif %}
),
given as (
  select s.step_slug, case
    when s.deps_count = 0 then run.input
    when s.step_type = 'map' then (select dep.output from state dep where dep.step_slug = s.depends_on[1])
    else (select coalesce(jsonb_object_agg(dep.step_slug, dep.output), '{}') from state dep
          where dep.step_slug = any (s.depends_on) and dep.status = 'completed') end as input
  from run cross join state s
  where {{ payloads and not cut and definitions }} and s.status in ('started', 'completed', 'failed') and s.started_at is not null
)
select run.run_id, run.flow_slug as slug, run.flow_slug as flow, 1 as version, {{ now }} as read_at,
  case when run.status = 'failed' and not exists (select from state s where s.status = 'failed') then 'cancelled' else run.status end as status,
  run.started_at, run.retried_at,
  coalesce(run.completed_at, run.failed_at) as ended_at, run.seconds,
{% if engine.events %}
  case when run.status = 'failed' then (
    select coalesce(e.detail ->> 'reason', '') from (
      select e.id, e.detail from flowsmith.events e
      where e.kind = 'run-cancelled' and e.detail ->> 'run_id' = run.run_id::text offset 0) e
    where (e.detail ->> 'failed_at')::timestamptz = run.failed_at
    order by e.id desc limit 1) end as cancelled,
{% else %}
  null as cancelled,
{% endif %}
  {% set value = "run.input" %}{% include "payload.sql" %} as input, {% set value = "run.output" %}{% include "payload.sql" %} as output, steps.list as steps
from run cross join clock cross join lateral (
  select coalesce(json_agg(x order by x.step_index), '[]') as list
  from (
    select s.step_index, s.step_slug as step, s.step_type as kind, s.depends_on,
      case when s.is_live or s.status not in ('created', 'started') then s.status
        when t.attempts > 0 then 'cut-off' else 'not-run' end as status,
      s.skip_reason, s.error_message as error,
      s.started_at, s.ended_at,
      extract(epoch from coalesce(s.ended_at, run.last_moment) - s.started_at)::float8 as seconds,
      s.initial_tasks as tasks, t.queued, t.started, t.completed, t.failed, t.unfinished, t.not_run, t.attempts, s.max_attempts,
      {% set value = "g.input" %}{% include "payload.sql" %} as input, {% set value = "s.output" %}{% include "payload.sql" %} as output, list.tasks as task_list
    from state s
    left join given g using (step_slug)
    cross join lateral (
      select count(*) filter (where k.status = 'queued' and s.is_live) as queued,
        count(*) filter (where k.status = 'started' and s.is_live) as started,
        count(*) filter (where k.status in ('queued', 'started') and not s.is_live) as unfinished,
        count(*) filter (where k.status in ('queued', 'started') and not s.is_live and k.attempts_count = 0) as not_run,
        count(*) filter (where k.status = 'completed') as completed, count(*) filter (where k.status = 'failed') as failed,
        coalesce(max(k.attempts_count), 0) as attempts
      from pgflow.step_tasks k where k.run_id = run.run_id and k.step_slug = s.step_slug offset 0) t
    cross join lateral (
      select coalesce(json_agg(n order by n.index), '[]') as tasks
      from (
        select k.task_index as index,
          case when s.is_live or k.status not in ('queued', 'started') then k.status
            when k.attempts_count > 0 then 'cut-off' else 'not-run' end as status,
          k.attempts_count as attempts, k.error_message as error, k.last_worker_id as worker_id,
          k.queued_at, k.started_at, coalesce(k.completed_at, k.failed_at) as ended_at,
          extract(epoch from coalesce(k.completed_at, k.failed_at, s.ended_at, run.last_moment) - k.started_at)::float8 as seconds,
          {% set value = "k.output" %}{% include "payload.sql" %} as output
        from pgflow.step_tasks k
        where k.run_id = run.run_id and k.step_slug = s.step_slug
{% if max_tasks is not none %}
          and (k.status <> 'completed' or k.attempts_count > 1)
        order by k.status <> 'failed', k.status = 'completed', k.attempts_count desc, k.task_index
        limit {{ max_tasks }}
{% endif %}
      ) n) list
  ) x
) steps
