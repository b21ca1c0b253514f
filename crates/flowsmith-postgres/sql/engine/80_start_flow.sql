-- Starting runs
-- =============

-- Starts a run of a flow and returns the run, which may have completed already. If the caller passes a run id, starting
-- the run again is a unique violation.
--
-- The run and its states are written by one statement, to make the run count exactly the steps that it gets. The insert
-- locks table runs before the statement reads the steps: a migration that replaces the steps of a flow without runs
-- locks that table first. As in _release_dependents, steps without dependencies are started at once if none of them has
-- a condition or lacks tasks.
create function pgflow.start_flow(flow_slug text, input jsonb, run_id uuid default null) returns setof pgflow.runs
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
  -- The number of tasks of a root map; null if the input is not an array.
  elements constant integer := case when jsonb_typeof(input) = 'array' then jsonb_array_length(input) end;
  clock    constant timestamptz := clock_timestamp();
  created  record;
begin
  if elements is null and exists (
    select from pgflow.steps step
    where step.flow_slug = start_flow.flow_slug and step.step_type = 'map' and step.deps_count = 0
  ) then
    if input is null then
      raise exception 'Flow % has root map steps but input is NULL', start_flow.flow_slug;
    end if;
    raise exception 'Flow % has root map steps but input is not an array (got %)', start_flow.flow_slug, jsonb_typeof(input);
  end if;

  with step as (
    select step.step_slug, step.deps_count,
           case when step.step_type = 'single' then 1 when step.deps_count = 0 then elements end as tasks,
           step.deps_count = 0 and not coalesce(
             bool_or(step.required_input_pattern is not null or step.forbidden_input_pattern is not null
                     or step.step_type = 'map' and elements = 0)
               filter (where step.deps_count = 0) over (), false) as may_start
    from pgflow.steps step
    where step.flow_slug = start_flow.flow_slug
  ),
  new_run as (
    insert into pgflow.runs as run (run_id, flow_slug, input, remaining_steps, started_at)
    values (coalesce(start_flow.run_id, gen_random_uuid()), start_flow.flow_slug, start_flow.input,
            (select count(*) from step), clock)
    returning run
  ),
  new_state as (
    insert into pgflow.step_states as state (
      flow_slug, run_id, step_slug, status, remaining_deps, initial_tasks, remaining_tasks, created_at, started_at)
    select (new_run.run).flow_slug, (new_run.run).run_id, step.step_slug,
           case when step.may_start then 'started' else 'created' end, step.deps_count, step.tasks,
           case when step.may_start then step.tasks end, clock, case when step.may_start then clock end
    from new_run cross join step
    returning state
  )
  select new_run.run, states.ready, states.started into created
  from new_run cross join (
    select array_agg(new_state.state)
             filter (where (new_state.state).status = 'created' and (new_state.state).remaining_deps = 0) as ready,
           array_agg(new_state.state) filter (where (new_state.state).status = 'started') as started
    from new_state
  ) states;

  perform pgflow._send_run_started(created.run);

  if created.ready is not null or created.started is not null then
    perform pgflow._advance_runs(created.ready, created.started, null, null);
  else
    -- The flow has no steps.
    perform pgflow._record_finished_steps(array[(created.run).run_id], array[0]);
  end if;
  return query select run.* from pgflow.runs run where run.run_id = (created.run).run_id;
end
$$;

-- Returns a run and the states of its steps as JSON; null if the run does not exist. Runs with its owner's privileges,
-- so a client needs no privileges on the tables.
create function pgflow.get_run_with_states(run_id uuid) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'run', to_jsonb(run),
    'steps', coalesce(
      (select jsonb_agg(to_jsonb(state) order by step.step_index)
       from pgflow.step_states state
       join pgflow.steps step on step.flow_slug = state.flow_slug and step.step_slug = state.step_slug
       where state.run_id = run.run_id),
      '[]'))
  from pgflow.runs run
  where run.run_id = get_run_with_states.run_id
$$;

-- Starts a run and returns it as get_run_with_states does. The run is read by a statement of its own, because a
-- statement does not see rows that were written after it began.
create function pgflow.start_flow_with_states(flow_slug text, input jsonb, run_id uuid default null) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  started_run pgflow.runs;
begin
  select * into started_run
  from pgflow.start_flow(start_flow_with_states.flow_slug, start_flow_with_states.input, start_flow_with_states.run_id);
  return pgflow.get_run_with_states(started_run.run_id);
end
$$;


