-- Step states
-- ===========
--
-- The caller has locked the states, or their runs; see the lock order.

-- Starts ready steps and returns their new states. Their tasks are still to be created.
create function pgflow._start_steps(ready pgflow.step_states[]) returns pgflow.step_states[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock   constant timestamptz := clock_timestamp();
  started pgflow.step_states[];
begin
  with changed as (
    update pgflow.step_states state
    set status = 'started', remaining_tasks = state.initial_tasks, started_at = greatest(clock, state.created_at)
    from unnest(ready) given
    cross join lateral (
      select locked.ctid from pgflow.step_states locked
      where locked.run_id = given.run_id and locked.step_slug = given.step_slug offset 0) locked
    where state.ctid = locked.ctid
    returning state
  )
  select array_agg(changed.state) into started from changed;
  return started;
end
$$;

-- Completes ready steps that have no tasks, which are maps of an empty array, and returns their new states by
-- step_index.
create function pgflow._complete_taskless_steps(ready pgflow.step_states[]) returns pgflow.step_states[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock     constant timestamptz := clock_timestamp();
  completed pgflow.step_states[];
begin
  with changed as (
    update pgflow.step_states state
    set status = 'completed', remaining_tasks = 0, output = '[]',
        started_at = greatest(clock, state.created_at), completed_at = greatest(clock, state.created_at)
    from unnest(ready) given
    cross join lateral (
      select locked.ctid from pgflow.step_states locked
      where locked.run_id = given.run_id and locked.step_slug = given.step_slug offset 0) locked
    where state.ctid = locked.ctid
    returning state
  )
  select array_agg(changed.state order by step.step_index) into completed
  from changed
  cross join lateral (
    select step.step_index from pgflow.steps step
    where step.flow_slug = (changed.state).flow_slug and step.step_slug = (changed.state).step_slug offset 0) step;

  perform pgflow._send_taskless_steps_completed(completed);
  return completed;
end
$$;

-- Skips steps and, with cascade, all steps that depend on them, directly or not. Returns the new states: first the
-- given steps, then their dependents, each by step_index. The error is that of the handler that failed, or null for an
-- unmet condition.
create function pgflow._skip_steps(steps pgflow.step_states[], reason text, error text, cascade boolean)
returns pgflow.step_states[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  skipped pgflow.step_states[];
begin
  with recursive skippable as (
    select given.flow_slug, given.run_id, given.step_slug, true as is_given from unnest(steps) given
    union
    select skippable.flow_slug, skippable.run_id, dependency.step_slug, false
    from skippable
    cross join lateral (
      select dependency.step_slug from pgflow.deps dependency
      where dependency.flow_slug = skippable.flow_slug and dependency.dep_slug = skippable.step_slug offset 0) dependency
    where cascade
  ),
  changed as (
    update pgflow.step_states state
    set status = 'skipped', remaining_tasks = null, skipped_at = greatest(clock_timestamp(), state.created_at),
        skip_reason = case when skippable.is_given then reason else 'dependency_skipped' end,
        error_message = case when skippable.is_given then error end
    from skippable
    cross join lateral (
      select locked.ctid from pgflow.step_states locked
      where locked.run_id = skippable.run_id and locked.step_slug = skippable.step_slug offset 0) locked
    where state.ctid = locked.ctid and state.status in ('created', 'started')
    returning state
  )
  select array_agg(changed.state order by (changed.state).skip_reason = 'dependency_skipped', step.step_index) into skipped
  from changed
  cross join lateral (
    select step.step_index from pgflow.steps step
    where step.flow_slug = (changed.state).flow_slug and step.step_slug = (changed.state).step_slug offset 0) step;

  perform pgflow._send_steps_skipped(skipped);
  return skipped;
end
$$;

-- Fails a step and its run, both locked by the caller. The states of the run's other steps and tasks stay as they are.
-- The caller archives the messages of the run together with all others that it archives, to keep their order. A type
-- violation sends run:failed before step:failed and without the error.
create function pgflow._fail_step(run_id uuid, step_slug text, error text, is_type_violation boolean default false)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock        constant timestamptz := clock_timestamp();
  failed_state pgflow.step_states;
  failed_run   pgflow.runs;
begin
  update pgflow.step_states state
  set status = 'failed', failed_at = greatest(clock, state.created_at, state.started_at), error_message = error
  where state.run_id = _fail_step.run_id and state.step_slug = _fail_step.step_slug
  returning state.* into failed_state;
  update pgflow.runs run
  set status = 'failed', failed_at = greatest(clock, run.started_at)
  where run.run_id = _fail_step.run_id
  returning run.* into failed_run;

  if is_type_violation then
    perform pgflow._send_run_failed(failed_run);
    perform pgflow._send_step_failed(failed_state);
  else
    perform pgflow._send_step_failed(failed_state);
    perform pgflow._send_run_failed(failed_run, jsonb_build_object('error_message', error));
  end if;
end
$$;


