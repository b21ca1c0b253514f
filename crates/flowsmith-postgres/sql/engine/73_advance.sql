-- Advancing runs
-- ==============

-- Returns the outputs of a step's completed dependencies, as an object; skipped dependencies are omitted. A table
-- function, which the planner inlines.
create function pgflow._dependency_outputs(flow_slug text, run_id uuid, step_slug text) returns table (outputs jsonb)
language sql stable
begin atomic
  select coalesce(jsonb_object_agg(dependency.dep_slug, state.output), '{}')
  from (
    select dependency.dep_slug from pgflow.deps dependency
    where dependency.flow_slug = _dependency_outputs.flow_slug and dependency.step_slug = _dependency_outputs.step_slug
    offset 0) dependency
  cross join lateral (
    select state.output from pgflow.step_states state
    where state.run_id = _dependency_outputs.run_id and state.step_slug = dependency.dep_slug and state.status = 'completed'
    offset 0) state;
end;

-- Subtracts finished steps, completed or skipped, from the open dependencies of their dependents. A dependent map
-- learns the number of its tasks: one for each element, none after a skipped dependency.
--
-- If no step that becomes ready has a condition or lacks tasks, which is the usual case, ready steps of the runs in
-- started_runs are started at once and returned as started. Otherwise they are returned as ready.
create function pgflow._release_dependents(
  finished pgflow.step_states[], started_runs uuid[], out ready pgflow.step_states[], out started pgflow.step_states[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock constant timestamptz := clock_timestamp();
begin
  with released as (
    select step.flow_slug, step.run_id, dependency.step_slug, count(*)::integer as deps, max(step.elements) as elements
    from (
      -- Omits the outputs, which can be large.
      select state.flow_slug, state.run_id, state.step_slug,
             case when state.status = 'skipped' then 0
                  when jsonb_typeof(state.output) = 'array' then jsonb_array_length(state.output) end as elements
      from unnest(finished) state offset 0
    ) step
    cross join lateral (
      select dependency.step_slug from pgflow.deps dependency
      where dependency.flow_slug = step.flow_slug and dependency.dep_slug = step.step_slug offset 0) dependency
    group by step.flow_slug, step.run_id, dependency.step_slug
  ),
  dependent as (
    select locked.*, released.deps, released.run_id = any (started_runs) and not coalesce(
             bool_or(step.has_condition or locked.tasks = 0) filter (where locked.is_ready) over (), false) as may_start
    from released
    cross join lateral (
      select state.ctid, state.remaining_deps = released.deps as is_ready,
             coalesce(state.initial_tasks, released.elements) as tasks
      from pgflow.step_states state
      where state.run_id = released.run_id and state.step_slug = released.step_slug and state.status = 'created'
      offset 0) locked
    cross join lateral (
      select step.required_input_pattern is not null or step.forbidden_input_pattern is not null as has_condition
      from pgflow.steps step
      where step.flow_slug = released.flow_slug and step.step_slug = released.step_slug offset 0) step
  ),
  changed as (
    update pgflow.step_states state
    set remaining_deps  = state.remaining_deps - dependent.deps,
        initial_tasks   = dependent.tasks,
        status          = case when dependent.is_ready and dependent.may_start then 'started' else state.status end,
        remaining_tasks = case when dependent.is_ready and dependent.may_start then dependent.tasks end,
        started_at      = case when dependent.is_ready and dependent.may_start then greatest(clock, state.created_at) end
    from dependent
    where state.ctid = dependent.ctid
    returning state
  )
  select array_agg(changed.state) filter (where (changed.state).status = 'created' and (changed.state).remaining_deps = 0),
         array_agg(changed.state) filter (where (changed.state).status = 'started')
    into ready, started
  from changed;
end
$$;

-- Evaluates the conditions of ready steps and sorts the steps into those whose condition is met or that have none, and
-- those whose condition is unmet, by when_unmet. The target of a condition is the run's input for a step without
-- dependencies, and the outputs of its completed dependencies for any other step. Each result is null if it is empty.
create function pgflow._evaluate_conditions(
  ready pgflow.step_states[],
  out met pgflow.step_states[], out skipping pgflow.step_states[], out cascading pgflow.step_states[],
  out failing pgflow.step_states[]
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  with evaluated as (
    select state, step.when_unmet, step.step_index,
           (step.required_input_pattern is null or target.value @> step.required_input_pattern)
           and (step.forbidden_input_pattern is null or not target.value @> step.forbidden_input_pattern) as is_met
    from unnest(ready) state
    cross join lateral (
      select step.* from pgflow.steps step
      where step.flow_slug = state.flow_slug and step.step_slug = state.step_slug offset 0) step
    left join lateral (
      select case
        when step.deps_count = 0 then (select run.input from pgflow.runs run where run.run_id = state.run_id)
        else (
          select dependencies.outputs
          from pgflow._dependency_outputs(state.flow_slug, state.run_id, state.step_slug) dependencies)
        end as value
    ) target on step.required_input_pattern is not null or step.forbidden_input_pattern is not null
  )
  select array_agg(evaluated.state) filter (where evaluated.is_met),
         array_agg(evaluated.state) filter (where not evaluated.is_met and evaluated.when_unmet = 'skip'),
         array_agg(evaluated.state) filter (where not evaluated.is_met and evaluated.when_unmet = 'skip-cascade'),
         array_agg(evaluated.state order by evaluated.step_index)
           filter (where not evaluated.is_met and evaluated.when_unmet = 'fail')
    into met, skipping, cascading, failing
  from evaluated;
end
$$;

-- Resolves the ready steps of one run, and those that become ready in turn, to any depth: evaluates conditions until no
-- ready step is undecided, completes the steps without tasks, and repeats. Returns the steps that can start, the number
-- of finished steps, and whether an unmet condition failed the run, in which case no step can start.
--
-- Each round looks only at the steps that the last one made ready, so the time grows linearly with the length of a
-- chain.
create function pgflow._resolve_ready_steps(
  ready pgflow.step_states[], out startable pgflow.step_states[], out finished integer, out has_failed boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  undecided pgflow.step_states[] := ready;
  decided   pgflow.step_states[];
  taskless  pgflow.step_states[];
  skipped   pgflow.step_states[];
  step      pgflow.step_states;
  condition record;
begin
  finished := 0;
  has_failed := false;
  loop
    while undecided is not null loop
      condition := pgflow._evaluate_conditions(undecided);
      if condition.failing is not null then
        step := condition.failing[1];
        perform pgflow._fail_step(step.run_id, step.step_slug, 'Condition not met');
        startable := null;
        has_failed := true;
        return;
      end if;
      if condition.cascading is not null then
        finished := finished + cardinality(pgflow._skip_steps(condition.cascading, 'condition_unmet', null, true));
      end if;
      undecided := null;
      if condition.skipping is not null then
        skipped := pgflow._skip_steps(condition.skipping, 'condition_unmet', null, false);
        finished := finished + cardinality(skipped);
        undecided := (pgflow._release_dependents(skipped, null)).ready;
      end if;
      decided := decided || condition.met;
    end loop;

    taskless := null;
    foreach step in array coalesce(decided, '{}') loop
      if step.initial_tasks > 0 then
        startable := startable || step;
      else
        taskless := taskless || step;
      end if;
    end loop;
    decided := null;
    exit when taskless is null;
    taskless := pgflow._complete_taskless_steps(taskless);
    finished := finished + cardinality(taskless);
    undecided := (pgflow._release_dependents(taskless, null)).ready;
  end loop;
end
$$;

-- Advances runs that the caller has locked: resolves and starts ready steps, creates the tasks of these and of steps
-- that have already started, and records finished steps, counts[i] of run_ids[i]. Each argument may be null for none.
-- Returns the runs that an unmet condition failed, whose messages the caller archives; null if there are none.
create function pgflow._advance_runs(
  ready pgflow.step_states[], started pgflow.step_states[], run_ids uuid[], counts integer[]
) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  startable   pgflow.step_states[];
  failed_runs uuid[];
  resolved    record;
begin
  if ready is not null then
    for resolved in
      select run.run_id, result.startable, result.finished, result.has_failed
      from (
        select state.run_id, array_agg(state) as ready from unnest(ready) state group by state.run_id order by state.run_id
      ) run
      cross join lateral pgflow._resolve_ready_steps(run.ready) result
    loop
      startable := startable || resolved.startable;
      run_ids := run_ids || resolved.run_id;
      counts := counts || resolved.finished;
      if resolved.has_failed then
        failed_runs := failed_runs || resolved.run_id;
      end if;
    end loop;
    if startable is not null then
      started := started || pgflow._start_steps(startable);
    end if;
  end if;

  if started is not null then
    perform pgflow._create_tasks(started);
  end if;
  if run_ids is not null then
    perform pgflow._record_finished_steps(run_ids, counts);
  end if;
  return failed_runs;
end
$$;

-- Finishes a step that has just completed: sends its event, locks its run, releases its dependents and advances the
-- run. If the run has failed meanwhile, only counters change. Returns the runs that an unmet condition failed, as
-- _advance_runs does.
create function pgflow._finish_step(completed pgflow.step_states, has_dependents boolean) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  is_started boolean;
  released   record;
begin
  perform pgflow._send_step_completed(completed);
  if has_dependents then
    select run.status = 'started' into is_started
    from pgflow.runs run where run.run_id = completed.run_id for no key update;
    released := pgflow._release_dependents(array[completed], case when is_started then array[completed.run_id] end);
    if is_started and released.ready is not null then
      return pgflow._advance_runs(released.ready, released.started, array[completed.run_id], array[1]);
    end if;
    if released.started is not null then
      perform pgflow._create_tasks(released.started);
    end if;
  end if;
  perform pgflow._record_finished_step(completed.run_id);
  return null;
end
$$;

-- Finishes steps that have just completed, as _finish_step does for one, without their events. run_ids has the run of
-- each step, with_dependents the states of the steps that have dependents, or null.
create function pgflow._finish_steps(run_ids uuid[], with_dependents pgflow.step_states[]) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  counts       constant integer[] := array_fill(1, array[cardinality(run_ids)]);
  started_runs uuid[];
  released     record;
  ready        pgflow.step_states[];
begin
  started_runs := array(
    select run.run_id
    from (select distinct given.run_id from unnest(run_ids) given (run_id) order by given.run_id) given
    cross join lateral (
      select run.run_id, run.status from pgflow.runs run where run.run_id = given.run_id for no key update offset 0) run
    where run.status = 'started');

  if with_dependents is null then
    perform pgflow._record_finished_steps(run_ids, counts);
    return null;
  end if;
  released := pgflow._release_dependents(with_dependents, started_runs);
  if released.ready is not null then
    ready := (select array_agg(state) from unnest(released.ready) state where state.run_id = any (started_runs));
  end if;
  return pgflow._advance_runs(ready, released.started, run_ids, counts);
end
$$;


