-- Failing a task
-- ==============

-- Fails an attempt at a started task and returns the task. If attempts are left, the task is queued again; otherwise it
-- fails, and its step fails or is skipped, by when_exhausted. If the run has failed already, only the task fails. A
-- task of a finished step is returned unchanged, and its message is archived.
create function pgflow.fail_task(run_id uuid, step_slug text, task_index integer, error_message text)
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
  current_task  pgflow.step_tasks;
  current_state pgflow.step_states;
  run_status    text;
  options       record;
begin
  select task.* into current_task from pgflow.step_tasks task
  where task.run_id = fail_task.run_id and task.step_slug = fail_task.step_slug and task.task_index = fail_task.task_index
    and task.status <> 'queued'
  for no key update;
  if not found then
    -- A queued task is not locked, because start_tasks would leave it out.
    return query
    select task.* from pgflow.step_tasks task
    where task.run_id = fail_task.run_id and task.step_slug = fail_task.step_slug
      and task.task_index = fail_task.task_index;
    return;
  end if;
  select state.* into current_state from pgflow.step_states state
  where state.run_id = current_task.run_id and state.step_slug = current_task.step_slug for no key update;
  select run.status into run_status from pgflow.runs run where run.run_id = current_task.run_id for no key update;
  select coalesce(step.opt_max_attempts, flow.opt_max_attempts) as max_attempts,
         coalesce(step.opt_base_delay, flow.opt_base_delay) as base_delay, step.when_exhausted
    into options
  from pgflow.steps step join pgflow.flows flow on flow.flow_slug = step.flow_slug
  where step.flow_slug = current_task.flow_slug and step.step_slug = current_task.step_slug;

  if current_task.status <> 'started' or current_state.status <> 'started' and run_status <> 'failed' then
    perform pgflow._archive_late_message(current_task.run_id, current_task.step_slug, current_task.task_index);
    return next current_task;
  elsif run_status = 'started' and current_task.attempts_count < options.max_attempts
    -- The message of a permanently stalled task is archived, so the task cannot be queued again.
    and current_task.permanently_stalled_at is null
  then
    return next pgflow._retry_task(current_task, options.base_delay, fail_task.error_message);
  else
    return next pgflow._fail_task_finally(
      current_task, current_state, run_status, options.when_exhausted, fail_task.error_message);
  end if;
end
$$;

-- Queues a task again after its retry delay, and returns it.
create function pgflow._retry_task(failed_task pgflow.step_tasks, base_delay integer, error_message text)
returns pgflow.step_tasks
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update pgflow.step_tasks task
  set status = 'queued', started_at = null, error_message = _retry_task.error_message
  where task.run_id = failed_task.run_id and task.step_slug = failed_task.step_slug
    and task.task_index = failed_task.task_index
  returning task.* into failed_task;
  perform pgflow._set_vt(
    failed_task.flow_slug, failed_task.message_id, pgflow.calculate_retry_delay(base_delay, failed_task.attempts_count));
  return failed_task;
end
$$;

-- Fails a task that has no attempts left and, if its run is started, fails its step or skips it, by when_exhausted.
-- Returns the task.
create function pgflow._fail_task_finally(
  failed_task pgflow.step_tasks, state pgflow.step_states, run_status text, when_exhausted text, error_message text
) returns pgflow.step_tasks
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update pgflow.step_tasks task
  set status = 'failed', failed_at = greatest(clock_timestamp(), task.started_at),
      error_message = _fail_task_finally.error_message
  where task.run_id = failed_task.run_id and task.step_slug = failed_task.step_slug
    and task.task_index = failed_task.task_index
  returning task.* into failed_task;

  if run_status <> 'started' then
    perform pgflow._archive_messages(failed_task.flow_slug, array[failed_task.message_id]);
  elsif when_exhausted = 'fail' then
    perform pgflow._fail_step(failed_task.run_id, failed_task.step_slug, error_message);
    perform pgflow._archive_with_failed_runs(
      failed_task.flow_slug, array[failed_task.message_id], array[failed_task.run_id]);
  else
    perform pgflow._skip_failed_step(failed_task, state, when_exhausted = 'skip-cascade');
  end if;
  return failed_task;
end
$$;

-- Skips a step whose task has failed finally, and its dependents if cascade, advances the run, and archives the
-- messages of the step's open tasks.
create function pgflow._skip_failed_step(failed_task pgflow.step_tasks, state pgflow.step_states, cascade boolean)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  skipped     pgflow.step_states[];
  ready       pgflow.step_states[];
  started     pgflow.step_states[];
  failed_runs uuid[];
begin
  skipped := pgflow._skip_steps(array[state], 'handler_failed', failed_task.error_message, cascade);
  if not cascade then
    select released.ready, released.started into ready, started
    from pgflow._release_dependents(skipped, array[failed_task.run_id]) released;
  end if;
  failed_runs := pgflow._advance_runs(ready, started, array[failed_task.run_id], array[cardinality(skipped)]);
  perform pgflow._archive_with_failed_runs(failed_task.flow_slug, array(
    select task.message_id from pgflow.step_tasks task
    where task.run_id = failed_task.run_id and task.step_slug = failed_task.step_slug
      and (task.status in ('queued', 'started') or task.message_id = failed_task.message_id)), failed_runs);
end
$$;


