{#- Returns a run with its steps in the order of their definition. `cut`: the number of characters of inputs and outputs,
    none = all. `max_tasks`: the number of tasks of each step, none = all. `definitions`: whether this role can read the
    definitions of steps and their dependencies. Rows are found by the run's id, and durations are measured by the
    server's clock, until the end of the run. A task or step that the end of the run or step left unfinished has the status
    cut-off if it had been attempted, else not-run. -#}
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
    definition.step_index, definition.step_type, definition.deps_count,
    coalesce(definition.opt_max_attempts, f.opt_max_attempts) as max_attempts,
    array(select dep.dep_slug from pgflow.deps dep
          where dep.flow_slug = s.flow_slug and dep.step_slug = s.step_slug order by dep.dep_slug) as depends_on,
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
      select case when {% if definitions %}definition.step_type = 'map'{% else %}s.initial_tasks <> 1{% endif %} then coalesce(jsonb_agg(t.output order by t.task_index), '[]') else (array_agg(t.output))[1] end
      from pgflow.step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug) end as output,
{% endif %}
    s.run_id
  from run
  cross join lateral (select * from pgflow.step_states state where state.run_id = run.run_id offset 0) s
{% if definitions %}
  join pgflow.steps definition on definition.flow_slug = s.flow_slug and definition.step_slug = s.step_slug
  join pgflow.flows f on f.flow_slug = s.flow_slug
{% endif %}
),
step_input as (
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
    select coalesce(event.detail ->> 'reason', '') from (
      select e.id, e.detail from flowsmith.events e
      where e.kind = 'run-cancelled' and e.detail ->> 'run_id' = run.run_id::text offset 0) event
    where (event.detail ->> 'failed_at')::timestamptz = run.failed_at
    order by event.id desc limit 1) end as cancelled,
{% else %}
  null as cancelled,
{% endif %}
  {% set value = "run.input" %}{% include "payload.sql" %} as input, {% set value = "run.output" %}{% include "payload.sql" %} as output, steps.list as steps
from run cross join clock cross join lateral (
  select coalesce(json_agg(shown_step order by shown_step.step_index), '[]') as list
  from (
    select s.step_index, s.step_slug as step, s.step_type as kind, s.depends_on,
      case when s.is_live or s.status not in ('created', 'started') then s.status
        when counted.attempts > 0 then 'cut-off' else 'not-run' end as status,
      s.skip_reason, s.error_message as error,
      s.started_at, s.ended_at,
      {{ seconds("s.started_at", "coalesce(s.ended_at, run.last_moment)") }} as seconds,
      s.initial_tasks as tasks, counted.queued, counted.started, counted.completed, counted.failed, counted.unfinished,
      counted.not_run, counted.attempts, s.max_attempts,
      {% set value = "step_input.input" %}{% include "payload.sql" %} as input, {% set value = "s.output" %}{% include "payload.sql" %} as output, listed.tasks as task_list
    from state s
    left join step_input using (step_slug)
    cross join lateral (
      select count(*) filter (where t.status = 'queued' and s.is_live) as queued,
        count(*) filter (where t.status = 'started' and s.is_live) as started,
        count(*) filter (where t.status in ('queued', 'started') and not s.is_live) as unfinished,
        count(*) filter (where t.status in ('queued', 'started') and not s.is_live and t.attempts_count = 0) as not_run,
        count(*) filter (where t.status = 'completed') as completed, count(*) filter (where t.status = 'failed') as failed,
        coalesce(max(t.attempts_count), 0) as attempts
      from pgflow.step_tasks t where t.run_id = run.run_id and t.step_slug = s.step_slug offset 0) counted
    cross join lateral (
      select coalesce(json_agg(shown_task order by shown_task.index), '[]') as tasks
      from (
        select t.task_index as index,
          case when s.is_live or t.status not in ('queued', 'started') then t.status
            when t.attempts_count > 0 then 'cut-off' else 'not-run' end as status,
          t.attempts_count as attempts, t.error_message as error, t.last_worker_id as worker_id,
          t.queued_at, t.started_at, coalesce(t.completed_at, t.failed_at) as ended_at,
          {{ seconds("t.started_at", "coalesce(t.completed_at, t.failed_at, s.ended_at, run.last_moment)") }} as seconds,
          {% set value = "t.output" %}{% include "payload.sql" %} as output
        from pgflow.step_tasks t
        where t.run_id = run.run_id and t.step_slug = s.step_slug
{% if max_tasks is not none %}
          and (t.status <> 'completed' or t.attempts_count > 1)
        order by t.status <> 'failed', t.status = 'completed', t.attempts_count desc, t.task_index
        limit {{ max_tasks }}
{% endif %}
      ) shown_task) listed
  ) shown_step
) steps
