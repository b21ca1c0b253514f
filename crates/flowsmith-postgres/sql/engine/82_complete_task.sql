-- Completing a task
-- =================

-- Completes a task of a started step in a started run with its output, and returns the task. Any other task is returned
-- unchanged, so a task can be completed twice without harm; if its step has finished, its message is archived.
--
-- Works on single rows, unlike complete_tasks: this is the most frequent call of workers.
create function pgflow.complete_task(run_id uuid, step_slug text, task_index integer, output jsonb)
returns setof pgflow.step_tasks
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  clock          constant timestamptz := clock_timestamp();
  is_single      boolean;
  has_dependents boolean;
  run_status     text;
  completed_task pgflow.step_tasks;
  new_state      pgflow.step_states;
  failed_runs    uuid[];
begin
  select step.is_single, run.status,
         exists (
           select from pgflow.deps dependency
           where dependency.flow_slug = run.flow_slug and dependency.dep_slug = complete_task.step_slug)
    into is_single, run_status, has_dependents
  from (select run.flow_slug, run.status from pgflow.runs run where run.run_id = complete_task.run_id offset 0) run
  cross join lateral (
    select step.step_type = 'single' as is_single from pgflow.steps step
    where step.flow_slug = run.flow_slug and step.step_slug = complete_task.step_slug offset 0) step;

  if run_status = 'started' then
    if is_single and has_dependents and jsonb_typeof(complete_task.output) is distinct from 'array' then
      completed_task := pgflow._fail_type_violation(
        complete_task.run_id, complete_task.step_slug, complete_task.task_index, complete_task.output);
      if completed_task.run_id is not null then
        perform pgflow._archive_with_failed_runs(
          completed_task.flow_slug, array[completed_task.message_id], array[completed_task.run_id]);
        return next completed_task;
        return;
      end if;
    end if;
    update pgflow.step_tasks task
    set status = 'completed', output = complete_task.output, completed_at = greatest(clock, task.started_at)
    where task.run_id = complete_task.run_id and task.step_slug = complete_task.step_slug
      and task.task_index = complete_task.task_index and task.status = 'started'
      and exists (
        select from pgflow.step_states state
        where state.run_id = complete_task.run_id and state.step_slug = complete_task.step_slug
          and state.status = 'started')
    returning task.* into completed_task;
  end if;
  if completed_task.run_id is null then
    return query select task.* from pgflow._archive_late_message(
      complete_task.run_id, complete_task.step_slug, complete_task.task_index) task;
    return;
  end if;

  if is_single then
    update pgflow.step_states state
    set remaining_tasks = 0, status = 'completed', completed_at = greatest(clock, state.started_at),
        output = complete_task.output
    where state.run_id = completed_task.run_id and state.step_slug = completed_task.step_slug and state.status = 'started'
    returning state.* into new_state;
  else
    new_state := pgflow._record_completed_map_task(completed_task.run_id, completed_task.step_slug);
  end if;
  if new_state.status = 'completed' then
    failed_runs := pgflow._finish_step(new_state, has_dependents);
  end if;
  if failed_runs is null then
    perform pgflow._archive_messages(completed_task.flow_slug, array[completed_task.message_id]);
  else
    perform pgflow._archive_with_failed_runs(completed_task.flow_slug, array[completed_task.message_id], failed_runs);
  end if;
  return next completed_task;
end
$$;

-- Subtracts a completed task from the remaining tasks of a map step, and completes the step if none remains. Returns
-- the new state.
create function pgflow._record_completed_map_task(run_id uuid, step_slug text) returns pgflow.step_states
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock     constant timestamptz := clock_timestamp();
  new_state pgflow.step_states;
begin
  update pgflow.step_states state
  set remaining_tasks = state.remaining_tasks - 1
  where state.run_id = _record_completed_map_task.run_id and state.step_slug = _record_completed_map_task.step_slug
  returning state.* into new_state;
  -- A second statement, which sees the outputs of the tasks for which the first one waited.
  if new_state.remaining_tasks = 0 and new_state.status = 'started' then
    update pgflow.step_states state
    set status = 'completed', completed_at = greatest(clock, state.started_at),
        output = (select jsonb_agg(task.output order by task.task_index)
                  from pgflow.step_tasks task where task.run_id = state.run_id and task.step_slug = state.step_slug)
    where state.run_id = new_state.run_id and state.step_slug = new_state.step_slug
    returning state.* into new_state;
  end if;
  return new_state;
end
$$;

-- Rejects the output of a started task that must be an array, because a map depends on the step, and is not one: fails
-- the task, its step and its run. The caller archives the messages of the run. Returns the task; null if the output is
-- not rejected.
create function pgflow._fail_type_violation(run_id uuid, step_slug text, task_index integer, output jsonb)
returns pgflow.step_tasks
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  type        constant text := coalesce(jsonb_typeof(output), 'null');
  map_slug    text;
  failed_task pgflow.step_tasks;
begin
  select map.step_slug into map_slug
  from (
    select state.flow_slug, state.step_slug from pgflow.step_states state
    where state.run_id = _fail_type_violation.run_id and state.step_slug = _fail_type_violation.step_slug
      and state.status = 'started' offset 0) source
  cross join lateral (
    select dependency.step_slug from pgflow.deps dependency
    where dependency.flow_slug = source.flow_slug and dependency.dep_slug = source.step_slug offset 0) dependency
  cross join lateral (
    select state.step_slug, state.initial_tasks from pgflow.step_states state
    where state.run_id = _fail_type_violation.run_id and state.step_slug = dependency.step_slug offset 0) map
  where map.initial_tasks is null
  order by map.step_slug limit 1;
  if not found then
    return null;
  end if;

  update pgflow.step_tasks task
  set status = 'failed', output = _fail_type_violation.output, failed_at = greatest(clock_timestamp(), task.started_at),
      error_message = format('[TYPE_VIOLATION] Produced %s instead of array', type)
  where task.run_id = _fail_type_violation.run_id and task.step_slug = _fail_type_violation.step_slug
    and task.task_index = _fail_type_violation.task_index and task.status = 'started'
  returning task.* into failed_task;
  if not found then
    return null;
  end if;
  perform from pgflow.step_states state
  where state.run_id = failed_task.run_id and state.step_slug = failed_task.step_slug for no key update;
  perform from pgflow.runs run where run.run_id = failed_task.run_id and run.status = 'started' for no key update;
  if found then
    perform pgflow._fail_step(
      failed_task.run_id, failed_task.step_slug,
      format('[TYPE_VIOLATION] Map step %s expects array input but dependency %s produced %s',
             map_slug, failed_task.step_slug, type),
      is_type_violation => true);
  end if;
  return failed_task;
end
$$;

-- Handles a late callback: if the step of a task has finished, in a run that has not failed, archives the task's
-- message. Returns the task, which is unchanged.
create function pgflow._archive_late_message(run_id uuid, step_slug text, task_index integer)
returns setof pgflow.step_tasks
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgflow._archive_messages(task.flow_slug, array[task.message_id])
  from pgflow.step_tasks task
  join pgflow.step_states state on state.run_id = task.run_id and state.step_slug = task.step_slug
  join pgflow.runs run on run.run_id = task.run_id
  where task.run_id = _archive_late_message.run_id and task.step_slug = _archive_late_message.step_slug
    and task.task_index = _archive_late_message.task_index
    and state.status not in ('created', 'started') and run.status <> 'failed';
  return query
  select task.* from pgflow.step_tasks task
  where task.run_id = _archive_late_message.run_id and task.step_slug = _archive_late_message.step_slug
    and task.task_index = _archive_late_message.task_index;
end
$$;


