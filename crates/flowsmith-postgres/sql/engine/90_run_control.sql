-- Run control
-- ===========

-- Cancels a started run, which sets it to failed, and returns the run. Its steps and tasks stay as they are, for
-- retry_run; when a worker reports a running task, nothing changes. A run that is not started is returned unchanged.
create function pgflow.cancel_run(run_id uuid, reason text default 'Run was cancelled') returns setof pgflow.runs
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgflow._cancel_run(cancel_run.run_id, cancel_run.reason);
  return query select run.* from pgflow.runs run where run.run_id = cancel_run.run_id;
end
$$;

-- Cancels a run; returns whether it was started.
create function pgflow._cancel_run(run_id uuid, reason text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  cancelled_run pgflow.runs;
begin
  update pgflow.runs run
  set status = 'failed', failed_at = greatest(clock_timestamp(), run.started_at)
  where run.run_id = _cancel_run.run_id and run.status = 'started'
  returning run.* into cancelled_run;
  if not found then
    return false;
  end if;
  perform pgflow._send_run_failed(cancelled_run, jsonb_build_object('error_message', _cancel_run.reason));
  perform pgflow._archive_with_failed_runs(cancelled_run.flow_slug, null, array[cancelled_run.run_id]);
  return true;
end
$$;

-- Restarts a failed run and returns it. Failed and started steps start again with all their attempts, without the
-- completed tasks of a map. A condition that failed the run is evaluated again. Completed and skipped steps keep their
-- results. A run that has not failed is returned unchanged.
create function pgflow.retry_run(run_id uuid) returns setof pgflow.runs
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgflow._retry_run(retry_run.run_id);
  return query select run.* from pgflow.runs run where run.run_id = retry_run.run_id;
end
$$;

-- Restarts a run; returns whether it had failed.
create function pgflow._retry_run(run_id uuid) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  restarted_run pgflow.runs;
  ready         pgflow.step_states[];
begin
  if not pgflow._lock_failed_run(_retry_run.run_id) then
    return false;
  end if;
  update pgflow.runs run
  set status = 'started', failed_at = null
  where run.run_id = _retry_run.run_id
  returning run.* into restarted_run;
  perform pgflow._send_run_started(restarted_run);
  perform pgflow._restart_steps(restarted_run);

  ready := (
    select array_agg(state) from pgflow.step_states state
    where state.run_id = restarted_run.run_id and state.status = 'created' and state.remaining_deps = 0);
  -- Called even if no step is ready: the last step may have completed at the moment in which the run was cancelled. A
  -- condition that is still unmet fails the run again, together with the tasks that were just created.
  if pgflow._advance_runs(ready, null, array[restarted_run.run_id], array[0]) is not null then
    perform pgflow._archive_with_failed_runs(restarted_run.flow_slug, null, array[restarted_run.run_id]);
  end if;
  return true;
end
$$;

-- Locks a failed run with its tasks and its started and failed steps, in the lock order. Returns false if the run has
-- not failed.
--
-- A task may be added between the locks on the tasks and the lock on the run. Tasks come before runs in the lock order,
-- so such a task is locked only if that needs no waiting. Otherwise the exception releases all locks, and the function
-- tries again.
create function pgflow._lock_failed_run(run_id uuid) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  while exists (select from pgflow.runs run where run.run_id = _lock_failed_run.run_id and run.status = 'failed') loop
    begin
      perform from pgflow.step_tasks task
      where task.run_id = _lock_failed_run.run_id order by task.step_slug, task.task_index for no key update;
      perform from pgflow.step_states state
      where state.run_id = _lock_failed_run.run_id and state.status in ('started', 'failed')
      order by state.step_slug for no key update;
      perform from pgflow.runs run
      where run.run_id = _lock_failed_run.run_id and run.status = 'failed' for no key update;
      if found and (
        select count(*) from (
          select from pgflow.step_tasks task
          where task.run_id = _lock_failed_run.run_id for no key update skip locked) locked
      ) = (select count(*) from pgflow.step_tasks task where task.run_id = _lock_failed_run.run_id) then
        return true;
      end if;
      raise exception using errcode = 'FL100';
    exception when sqlstate 'FL100' then
      null;
    end;
  end loop;
  return false;
end
$$;

-- Starts the failed and started steps of a restarted run again: replaces their tasks, except completed ones, by new
-- ones. A step that failed on its condition becomes ready again.
create function pgflow._restart_steps(restarted_run pgflow.runs) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock   constant timestamptz := clock_timestamp();
  msg_ids bigint[];
  started pgflow.step_states[];
begin
  -- The messages of the old tasks are in the archive.
  with deleted as (
    delete from pgflow.step_tasks task
    where task.run_id = restarted_run.run_id and task.status <> 'completed'
      and (select state.status from pgflow.step_states state
           where state.run_id = restarted_run.run_id and state.step_slug = task.step_slug) in ('started', 'failed')
    returning task.message_id
  )
  select array_agg(deleted.message_id) into msg_ids from deleted;
  perform pgflow._delete_messages(restarted_run.flow_slug, msg_ids, array[restarted_run.run_id]);

  -- A step that failed on its condition has never started.
  update pgflow.step_states state
  set status = 'created', failed_at = null, error_message = null
  where state.run_id = restarted_run.run_id and state.status = 'failed' and state.started_at is null;
  with changed as (
    update pgflow.step_states state
    set status = 'started', failed_at = null, error_message = null, started_at = greatest(clock, state.created_at),
        remaining_tasks = state.initial_tasks - (
          select count(*) from pgflow.step_tasks task where task.run_id = state.run_id and task.step_slug = state.step_slug)
    where state.run_id = restarted_run.run_id and state.status in ('started', 'failed')
    returning state
  )
  select array_agg(changed.state) into started from changed;
  if started is not null then
    perform pgflow._create_tasks(started, except_existing => true);
  end if;
end
$$;

-- Pauses a flow: none of its tasks starts until resume_flow. Runs can be started and running tasks completed meanwhile.
-- Returns false if the flow was paused already.
create function pgflow.pause_flow(flow_slug text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into pgflow.paused_flows (flow_slug) values (pause_flow.flow_slug)
  on conflict on constraint paused_flows_pkey do nothing;
  return found;
end
$$;

-- Resumes a paused flow and makes its parked messages visible at once. Returns false if the flow was not paused.
create function pgflow.resume_flow(flow_slug text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Waits for every start_tasks that has read the row.
  delete from pgflow.paused_flows paused where paused.flow_slug = resume_flow.flow_slug;
  if not found then
    return false;
  end if;
  execute format(
    $query$
      update pgmq.%1$I message set vt = clock_timestamp()
      from (
        select parked.msg_id from pgmq.%1$I parked where parked.vt = 'infinity' order by parked.msg_id for update
      ) parked
      where message.msg_id = parked.msg_id
    $query$, 'q_' || lower(resume_flow.flow_slug));
  return true;
end
$$;


