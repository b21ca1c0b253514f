-- Completing tasks in batches
-- ===========================

-- Completes tasks, as complete_task would one after the other: outputs[i] is the output of task task_indexes[i] of step
-- step_slugs[i] of run run_ids[i]. Returns all tasks in the given order. Two things differ from single calls: outputs
-- are rejected before any task completes, and steps that become ready are started together at the end. If a task is
-- given twice, its first output counts.
create function pgflow.complete_tasks(run_ids uuid[], step_slugs text[], task_indexes integer[], outputs jsonb[])
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
  locked      record;
  rejected    pgflow.step_tasks[];
  completed   record;
  failed_runs uuid[];
begin
  if (cardinality(run_ids), cardinality(run_ids), cardinality(run_ids))
    is distinct from (cardinality(step_slugs), cardinality(task_indexes), cardinality(outputs)) then
    raise exception 'run_ids, step_slugs, task_indexes and outputs must have one length, not %, %, % and %',
      cardinality(run_ids), cardinality(step_slugs), cardinality(task_indexes), cardinality(outputs);
  end if;

  locked := pgflow._lock_tasks(run_ids, step_slugs, task_indexes, outputs);
  if pgflow._feeds_map(locked.flow_slugs, locked.step_slugs) then
    rejected := pgflow._fail_type_violations(
      locked.flow_slugs, locked.run_ids, locked.step_slugs, locked.task_indexes, locked.outputs, locked.places);
  end if;
  completed := pgflow._complete_locked_tasks(locked.ctids, locked.run_ids, locked.step_slugs, locked.outputs);

  if completed.tasks < cardinality(run_ids) then
    perform pgflow._archive_late_message(given.run_id, given.step_slug, given.task_index)
    from unnest(run_ids, step_slugs, task_indexes) given (run_id, step_slug, task_index);
  end if;
  if completed.tasks > 0 then
    failed_runs := pgflow._record_completed_tasks(completed.flow_slugs, completed.run_ids, completed.step_slugs);
  end if;

  perform pgflow._archive_with_failed_runs(
    task.flow_slug, array_agg(task.message_id), failed_runs || array(select task.run_id from unnest(rejected) task))
  from (
    select task.flow_slug, task.message_id
    from unnest(completed.flow_slugs, completed.message_ids) task (flow_slug, message_id)
    union all
    select task.flow_slug, task.message_id from unnest(rejected) task
  ) task
  group by task.flow_slug order by task.flow_slug;

  return query
  select task.*
  from unnest(run_ids, step_slugs, task_indexes) with ordinality given (run_id, step_slug, task_index, place)
  cross join lateral (
    select task.* from pgflow.step_tasks task
    where task.run_id = given.run_id and task.step_slug = given.step_slug and task.task_index = given.task_index
    offset 0) task
  order by given.place;
end
$$;

-- Locks tasks by primary key and returns each with the first output given for it and the place of that output. Skips
-- queued tasks, because start_tasks would leave out a task that is locked. The results are null if no task is locked.
create function pgflow._lock_tasks(
  given_run_ids uuid[], given_step_slugs text[], given_task_indexes integer[], given_outputs jsonb[],
  out ctids tid[], out flow_slugs text[], out run_ids uuid[], out step_slugs text[], out task_indexes integer[],
  out outputs jsonb[], out places bigint[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  select array_agg(locked.ctid), array_agg(locked.flow_slug), array_agg(given.run_id), array_agg(given.step_slug),
         array_agg(given.task_index), array_agg(given.output), array_agg(given.place)
    into ctids, flow_slugs, run_ids, step_slugs, task_indexes, outputs, places
  from (
    select distinct on (argument.run_id, argument.step_slug, argument.task_index) argument.*
    from unnest(given_run_ids, given_step_slugs, given_task_indexes, given_outputs)
      with ordinality argument (run_id, step_slug, task_index, output, place)
    order by argument.run_id, argument.step_slug, argument.task_index, argument.place
  ) given
  cross join lateral (
    select task.ctid, task.flow_slug from pgflow.step_tasks task
    where task.run_id = given.run_id and task.step_slug = given.step_slug and task.task_index = given.task_index
      and task.status <> 'queued'
    for no key update offset 0) locked;
end
$$;

-- Returns whether a map depends on one of these steps, and the step is single: only then can an output be rejected.
create function pgflow._feeds_map(flow_slugs text[], step_slugs text[]) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select
    from (
      select distinct given.flow_slug, given.step_slug from unnest(flow_slugs, step_slugs) given (flow_slug, step_slug)
    ) given
    cross join lateral (
      select step.step_slug from pgflow.steps step
      where step.flow_slug = given.flow_slug and step.step_slug = given.step_slug and step.step_type = 'single'
      offset 0) single
    cross join lateral (
      select dependency.step_slug from pgflow.deps dependency
      where dependency.flow_slug = given.flow_slug and dependency.dep_slug = single.step_slug offset 0) dependency
    cross join lateral (
      select step.step_slug from pgflow.steps step
      where step.flow_slug = given.flow_slug and step.step_slug = dependency.step_slug and step.step_type = 'map'
      offset 0) map
  );
end
$$;

-- Rejects outputs of locked tasks as _fail_type_violation does, in the order in which they were given, and returns the
-- tasks. To reject an output locks a state and a run, so the states and runs of all tasks are locked first, in their
-- order.
create function pgflow._fail_type_violations(
  flow_slugs text[], run_ids uuid[], step_slugs text[], task_indexes integer[], outputs jsonb[], places bigint[]
) returns pgflow.step_tasks[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  suspects    constant bigint[] := array(
    select task.index
    from unnest(flow_slugs, run_ids, step_slugs, outputs, places)
      with ordinality task (flow_slug, run_id, step_slug, output, place, index)
    cross join lateral (select run.status from pgflow.runs run where run.run_id = task.run_id offset 0) run
    cross join lateral (
      select step.step_type from pgflow.steps step
      where step.flow_slug = task.flow_slug and step.step_slug = task.step_slug offset 0) step
    where jsonb_typeof(task.output) is distinct from 'array' and step.step_type = 'single' and run.status = 'started'
    order by task.place);
  suspect     bigint;
  failed_task pgflow.step_tasks;
  rejected    pgflow.step_tasks[];
begin
  if suspects = '{}' then
    return null;
  end if;
  perform state.run_id
  from (
    select distinct task.run_id, task.step_slug from unnest(run_ids, step_slugs) task (run_id, step_slug)
    order by task.run_id, task.step_slug
  ) step
  cross join lateral (
    select state.run_id from pgflow.step_states state
    where state.run_id = step.run_id and state.step_slug = step.step_slug and state.status = 'started'
    for no key update offset 0) state;
  perform run.run_id
  from (select distinct given.run_id from unnest(run_ids) given (run_id) order by given.run_id) given
  cross join lateral (
    select run.run_id from pgflow.runs run where run.run_id = given.run_id for no key update offset 0) run;

  foreach suspect in array suspects loop
    failed_task := pgflow._fail_type_violation(
      run_ids[suspect], step_slugs[suspect], task_indexes[suspect], outputs[suspect]);
    if failed_task.run_id is not null then
      rejected := rejected || failed_task;
    end if;
  end loop;
  return rejected;
end
$$;

-- Completes those of the locked tasks that are started, in started steps and runs, and returns their number and, of
-- each, the flow, run, step and message.
create function pgflow._complete_locked_tasks(
  ctids tid[], locked_run_ids uuid[], locked_step_slugs text[], outputs jsonb[],
  out tasks bigint, out flow_slugs text[], out run_ids uuid[], out step_slugs text[], out message_ids bigint[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock constant timestamptz := clock_timestamp();
begin
  with completable as (
    select locked.ctid, locked.output
    from unnest(ctids, locked_run_ids, locked_step_slugs, outputs) locked (ctid, run_id, step_slug, output)
    cross join lateral (
      select state.status from pgflow.step_states state
      where state.run_id = locked.run_id and state.step_slug = locked.step_slug offset 0) state
    cross join lateral (select run.status from pgflow.runs run where run.run_id = locked.run_id offset 0) run
    where state.status = 'started' and run.status = 'started'
  ),
  completed as (
    update pgflow.step_tasks task
    set status = 'completed', output = completable.output, completed_at = greatest(clock, task.started_at)
    from completable
    where task.ctid = completable.ctid and task.status = 'started'
    returning task.flow_slug, task.run_id, task.step_slug, task.message_id
  )
  select count(*), array_agg(completed.flow_slug), array_agg(completed.run_id), array_agg(completed.step_slug),
         array_agg(completed.message_id)
    into tasks, flow_slugs, run_ids, step_slugs, message_ids
  from completed;
end
$$;

-- Subtracts completed tasks from the remaining tasks of their steps, completes the steps in which none remains, and
-- finishes these. The arrays have the step of each task. Returns the runs that an unmet condition failed, as
-- _advance_runs does.
create function pgflow._record_completed_tasks(flow_slugs text[], run_ids uuid[], step_slugs text[]) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock    constant timestamptz := clock_timestamp();
  finished record;
begin
  -- A statement of its own: the next one sees the counters and the outputs of tasks for which this one waited.
  perform state.run_id
  from (
    select distinct task.run_id, task.step_slug from unnest(run_ids, step_slugs) task (run_id, step_slug)
    order by task.run_id, task.step_slug
  ) step
  cross join lateral (
    select state.run_id from pgflow.step_states state
    where state.run_id = step.run_id and state.step_slug = step.step_slug for no key update offset 0) state;

  -- Collects whole states only if their events or their dependents need them.
  with changed as (
    update pgflow.step_states state
    set remaining_tasks = state.remaining_tasks - step.tasks,
        status          = case when step.is_last then 'completed' else state.status end,
        completed_at    = case when step.is_last then greatest(clock, state.started_at) end,
        output          = case
          when step.is_last and step.step_type = 'map' then (
            select jsonb_agg(task.output order by task.task_index)
            from pgflow.step_tasks task where task.run_id = state.run_id and task.step_slug = state.step_slug)
          when step.is_last then (
            select task.output from pgflow.step_tasks task
            where task.run_id = state.run_id and task.step_slug = state.step_slug and task.task_index = 0) end
    from (
      select locked.ctid, counted.tasks, step.step_type,
             locked.status = 'started' and locked.remaining_tasks = counted.tasks as is_last,
             exists (
               select from pgflow.deps dependency
               where dependency.flow_slug = counted.flow_slug and dependency.dep_slug = counted.step_slug
               offset 0) as has_dependents
      from (
        select task.flow_slug, task.run_id, task.step_slug, count(*)::integer as tasks
        from unnest(flow_slugs, run_ids, step_slugs) task (flow_slug, run_id, step_slug)
        group by task.flow_slug, task.run_id, task.step_slug
      ) counted
      cross join lateral (
        select locked.ctid, locked.status, locked.remaining_tasks from pgflow.step_states locked
        where locked.run_id = counted.run_id and locked.step_slug = counted.step_slug offset 0) locked
      cross join lateral (
        select step.step_type from pgflow.steps step
        where step.flow_slug = counted.flow_slug and step.step_slug = counted.step_slug offset 0) step
      offset 0
    ) step
    where state.ctid = step.ctid
    returning state, state.run_id, step.is_last, step.has_dependents
  )
  select array_agg(changed.run_id) as run_ids,
         array_agg(changed.state) filter (where pgflow._events_enabled()) as announced,
         array_agg(changed.state) filter (where changed.has_dependents) as with_dependents
    into finished
  from changed where changed.is_last;

  if finished.run_ids is null then
    return null;
  end if;
  perform pgflow._send_step_completed(state) from unnest(finished.announced::pgflow.step_states[]) state;
  return pgflow._finish_steps(finished.run_ids, finished.with_dependents);
end
$$;


