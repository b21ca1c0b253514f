-- Consistency checks
-- ==================

-- Returns violations of the engine's invariants, in one run or in all runs; no rows if there are none. For all runs, it
-- reads every table.
create function pgflow.violations(only_run uuid default null)
returns table (rule text, run_id uuid, step_slug text, detail text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  flow_slug text;
begin
  return query select violation.* from pgflow._run_violations(only_run) violation;
  return query select violation.* from pgflow._step_violations(only_run) violation;
  return query select violation.* from pgflow._dependency_violations(only_run) violation;
  for flow_slug in
    select flow.flow_slug from pgflow.flows flow
    where only_run is null
       or flow.flow_slug = (select run.flow_slug from pgflow.runs run where run.run_id = only_run)
  loop
    return query select violation.* from pgflow._message_violations(flow_slug, only_run) violation;
  end loop;
end
$$;

-- Checks the status and the counter of runs.
create function pgflow._run_violations(only_run uuid)
returns table (rule text, run_id uuid, step_slug text, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select 'a run counts the steps that are not done', run.run_id, null::text,
         format('remaining_steps is %s, %s are not done', run.remaining_steps, states.open)
  from pgflow.runs run
  cross join lateral (
    select count(*) filter (where state.status not in ('completed', 'skipped')) as open
    from pgflow.step_states state where state.run_id = run.run_id) states
  where (only_run is null or run.run_id = only_run) and run.remaining_steps <> states.open;

  return query
  select 'a run completes when no step is left', run.run_id, null::text,
         format('status is %s, remaining_steps is %s', run.status, run.remaining_steps)
  from pgflow.runs run
  where (only_run is null or run.run_id = only_run)
    and run.status <> 'failed' and (run.status = 'completed') <> (run.remaining_steps = 0);
end
$$;

-- Checks the tasks of started and finished steps.
create function pgflow._step_violations(only_run uuid)
returns table (rule text, run_id uuid, step_slug text, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select 'a step counts the tasks that are not completed', state.run_id, state.step_slug,
         format('initial_tasks is %s, remaining_tasks is %s, of %s tasks %s are not completed',
                state.initial_tasks, state.remaining_tasks, tasks.number, tasks.open)
  from pgflow.step_states state
  cross join lateral (
    select count(*) as number, count(*) filter (where task.status <> 'completed') as open
    from pgflow.step_tasks task where task.run_id = state.run_id and task.step_slug = state.step_slug) tasks
  where (only_run is null or state.run_id = only_run)
    and state.remaining_tasks is not null
    and (state.remaining_tasks, state.initial_tasks) is distinct from (tasks.open::integer, tasks.number::integer);

  return query
  select 'a step completes when no task is left', state.run_id, state.step_slug,
         format('status is %s, remaining_tasks is %s', state.status, state.remaining_tasks)
  from pgflow.step_states state
  where (only_run is null or state.run_id = only_run)
    and state.status = 'started' and state.remaining_tasks = 0;
end
$$;

-- Checks the dependencies of steps that have not started.
create function pgflow._dependency_violations(only_run uuid)
returns table (rule text, run_id uuid, step_slug text, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select 'a waiting step counts the dependencies that are not done', state.run_id, state.step_slug,
         format('remaining_deps is %s, %s are not done', state.remaining_deps, dependencies.open)
  from pgflow.step_states state
  cross join lateral (
    select count(*) filter (where dependency_state.status not in ('completed', 'skipped')) as open
    from pgflow.deps dependency
    join pgflow.step_states dependency_state
      on dependency_state.run_id = state.run_id and dependency_state.step_slug = dependency.dep_slug
    where dependency.flow_slug = state.flow_slug and dependency.step_slug = state.step_slug) dependencies
  where (only_run is null or state.run_id = only_run)
    and state.status = 'created' and state.remaining_deps <> dependencies.open;

  return query
  select 'a ready step starts', state.run_id, state.step_slug, 'nothing is open that it depends on'
  from pgflow.step_states state join pgflow.runs run on run.run_id = state.run_id
  where (only_run is null or state.run_id = only_run)
    and state.status = 'created' and state.remaining_deps = 0 and run.status = 'started';
end
$$;

-- Compares the messages in the queue of a flow with its open tasks.
create function pgflow._message_violations(flow_slug text, only_run uuid)
returns table (rule text, run_id uuid, step_slug text, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if to_regclass(format('pgmq.%I', 'q_' || lower(flow_slug))) is null then
    return query select 'a flow has a queue', null::uuid, null::text, format('pgmq has none named %s', flow_slug);
    return;
  end if;
  return query execute format(
    $query$
      select 'a message has an open task of a started step and run', run.run_id, queued.message ->> 'step_slug',
             format('message %%s, task %%s, step %%s, run %%s', queued.msg_id, coalesce(task.status, 'gone'),
                    coalesce(state.status, 'gone'), coalesce(run.status, 'gone'))
      from pgmq.%1$I queued
      left join pgflow.step_tasks task
        on task.flow_slug = $1 and task.message_id = queued.msg_id and task.run_id::text = queued.message ->> 'run_id'
        and task.step_slug = queued.message ->> 'step_slug' and task.task_index::text = queued.message ->> 'task_index'
      left join pgflow.step_states state on state.run_id = task.run_id and state.step_slug = task.step_slug
      left join pgflow.runs run on run.run_id = task.run_id
      where ($2 is null or queued.message ->> 'run_id' = $2::text)
        and (task.status in ('queued', 'started') and state.status = 'started' and run.status = 'started') is not true
      union all
      select 'an open task of a started step and run has a message', task.run_id, task.step_slug,
             format('task %%s is %%s, its message %%s is not in the queue', task.task_index, task.status, task.message_id)
      from pgflow.step_tasks task
      join pgflow.step_states state on state.run_id = task.run_id and state.step_slug = task.step_slug
      join pgflow.runs run on run.run_id = task.run_id
      where ($2 is null or task.run_id = $2) and task.flow_slug = $1
        and task.status in ('queued', 'started') and state.status = 'started' and run.status = 'started'
        and (task.permanently_stalled_at is null or task.status = 'queued')
        and not exists (select from pgmq.%1$I queued where queued.msg_id = task.message_id)
    $query$, 'q_' || lower(flow_slug)
  ) using flow_slug, only_run;
end
$$;


