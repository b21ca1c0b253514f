-- ─── Going on ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- Tells the dependents of steps that are done, completed or skipped. A map learns how many tasks it will have: one an
-- element, none after a skipped dependency. Of the steps that are ready now, those of a run named in `running` are started
-- at once where no ready step has a condition or lacks a task, which is the ordinary case; any other is returned as ready.
create function pgflow._release(
  done pgflow.step_states[], running uuid[], out ready pgflow.step_states[], out started pgflow.step_states[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock constant timestamptz := clock_timestamp();
begin
  with edge as (
    select f.flow_slug, f.run_id, d.step_slug, count(*)::integer as released, max(f.elements) as elements
    from (
      -- Without their outputs, which can be large.
      select x.flow_slug, x.run_id, x.step_slug,
             case when x.status = 'skipped' then 0
                  when jsonb_typeof(x.output) = 'array' then jsonb_array_length(x.output) end as elements
      from unnest(done) x offset 0
    ) f
    cross join lateral (
      select x.step_slug from pgflow.deps x where x.flow_slug = f.flow_slug and x.dep_slug = f.step_slug offset 0) d
    group by f.flow_slug, f.run_id, d.step_slug
  ),
  dependent as (
    select x.*, e.released, e.run_id = any (running) and not coalesce(
             bool_or(step.has_condition or x.tasks = 0) filter (where x.is_ready) over (), false) as may_start
    from edge e
    cross join lateral (
      select y.ctid, y.remaining_deps = e.released as is_ready, coalesce(y.initial_tasks, e.elements) as tasks
      from pgflow.step_states y
      where y.run_id = e.run_id and y.step_slug = e.step_slug and y.status = 'created' offset 0) x
    cross join lateral (
      select y.required_input_pattern is not null or y.forbidden_input_pattern is not null as has_condition
      from pgflow.steps y where y.flow_slug = e.flow_slug and y.step_slug = e.step_slug offset 0) step
  ),
  told as (
    update pgflow.step_states s
    set remaining_deps  = s.remaining_deps - d.released,
        initial_tasks   = d.tasks,
        status          = case when d.is_ready and d.may_start then 'started' else s.status end,
        remaining_tasks = case when d.is_ready and d.may_start then d.tasks end,
        started_at      = case when d.is_ready and d.may_start then greatest(clock, s.created_at) end
    from dependent d
    where s.ctid = d.ctid
    returning s as state
  )
  select array_agg(t.state) filter (where (t.state).status = 'created' and (t.state).remaining_deps = 0),
         array_agg(t.state) filter (where (t.state).status = 'started')
    into ready, started
  from told t;
end
$$;

-- Decides the ready steps of one run whose conditions are unmet or which have no task, and those that become ready by
-- that, to any depth: conditions until none is undecided, then the steps without a task, and again. Returns the steps that
-- can start, how many are done, and whether an unmet condition has failed the run, in which case none can start.
--
-- Works from one set of ready steps to the next and never looks at the rest of the run, so that a chain of thousands is
-- resolved in a time that grows with its length.
create function pgflow._resolve(
  ready pgflow.step_states[], out startable pgflow.step_states[], out done integer, out has_failed boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  undecided pgflow.step_states[] := ready;
  met       pgflow.step_states[];
  skipping  pgflow.step_states[];
  cascading pgflow.step_states[];
  decided   pgflow.step_states[];
  taskless  pgflow.step_states[];
  failing   pgflow.step_states[];
  one       pgflow.step_states;
begin
  done := 0;
  has_failed := false;
  loop
    while undecided is not null loop
      with looked_at as (
        select u as state, step.when_unmet, step.step_index,
               (step.required_input_pattern is null or target.value @> step.required_input_pattern)
               and (step.forbidden_input_pattern is null or not target.value @> step.forbidden_input_pattern) as is_met
        from unnest(undecided) u
        cross join lateral (
          select x.* from pgflow.steps x where x.flow_slug = u.flow_slug and x.step_slug = u.step_slug offset 0) step
        left join lateral (
          select case
            when step.deps_count = 0 then (select r.input from pgflow.runs r where r.run_id = u.run_id)
            else (
              select coalesce(jsonb_object_agg(d.dep_slug, o.output), '{}')
              from (
                select x.dep_slug from pgflow.deps x
                where x.flow_slug = u.flow_slug and x.step_slug = u.step_slug offset 0) d
              cross join lateral (
                select x.output from pgflow.step_states x
                where x.run_id = u.run_id and x.step_slug = d.dep_slug and x.status = 'completed' offset 0) o)
            end as value
        ) target on step.required_input_pattern is not null or step.forbidden_input_pattern is not null
      )
      select array_agg(d.state) filter (where d.is_met),
             array_agg(d.state) filter (where not d.is_met and d.when_unmet = 'skip'),
             array_agg(d.state) filter (where not d.is_met and d.when_unmet = 'skip-cascade'),
             array_agg(d.state order by d.step_index) filter (where not d.is_met and d.when_unmet = 'fail')
        into met, skipping, cascading, failing
      from looked_at d;

      if failing is not null then
        perform pgflow._fail_step(failing[1].run_id, failing[1].step_slug, 'Condition not met');
        startable := null;
        has_failed := true;
        return;
      end if;
      if cascading is not null then
        done := done + cardinality(pgflow._skip(cascading, 'condition_unmet', null, true));
      end if;
      undecided := null;
      if skipping is not null then
        skipping := pgflow._skip(skipping, 'condition_unmet', null, false);
        done := done + cardinality(skipping);
        undecided := (pgflow._release(skipping, null)).ready;
      end if;
      decided := decided || met;
    end loop;

    taskless := null;
    foreach one in array coalesce(decided, '{}') loop
      if one.initial_tasks > 0 then
        startable := startable || one;
      else
        taskless := taskless || one;
      end if;
    end loop;
    decided := null;
    exit when taskless is null;
    taskless := pgflow._complete_taskless(taskless);
    done := done + cardinality(taskless);
    undecided := (pgflow._release(taskless, null)).ready;
  end loop;
end
$$;

-- What every change of a run ends with, the runs being held: ready steps are resolved and started, the tasks of those that
-- have started already are queued, and done steps counted: done[i] of run_ids[i]. Null is nothing of each. Returns the runs that
-- a condition has failed, null where there is none.
create function pgflow._go_on(
  ready pgflow.step_states[], started pgflow.step_states[], run_ids uuid[], done integer[]
) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  startable pgflow.step_states[];
  failed    uuid[];
  resolved  record;
begin
  if ready is not null then
    for resolved in
      select one.run_id, result.startable, result.done, result.has_failed
      from (select r.run_id, array_agg(r) as ready from unnest(ready) r group by r.run_id order by r.run_id) one
      cross join lateral pgflow._resolve(one.ready) result
    loop
      startable := startable || resolved.startable;
      run_ids := run_ids || resolved.run_id;
      done := done || resolved.done;
      if resolved.has_failed then
        failed := failed || resolved.run_id;
      end if;
    end loop;
    if startable is not null then
      started := started || pgflow._start_steps(startable);
    end if;
  end if;

  if started is not null then
    perform pgflow._queue_tasks(started);
  end if;
  if run_ids is not null then
    perform pgflow._settle_runs(run_ids, done);
  end if;
  return failed;
end
$$;

-- The event of a step whose tasks have completed.
create function pgflow._send_step_completed(state pgflow.step_states) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._tells() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'step:completed', 'run_id', state.run_id, 'step_slug', state.step_slug, 'status', state.status,
        'output', state.output, 'completed_at', state.completed_at),
      'step:' || state.step_slug || ':completed', 'pgflow:run:' || state.run_id, false);
  end if;
end
$$;

-- What follows when a step that has dependents has just completed, its event having been sent: they are told, and its run, which
-- is taken. Where the run has failed in this moment, only the counters go on. Returns the runs that a condition has failed.
create function pgflow._finish_one(completed pgflow.step_states) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  running  boolean;
  released record;
begin
  select r.status = 'started' into running from pgflow.runs r where r.run_id = completed.run_id for no key update;
  released := pgflow._release(array[completed], case when running then array[completed.run_id] end);
  if running and released.ready is not null then
    return pgflow._go_on(released.ready, released.started, array[completed.run_id], array[1]);
  end if;
  if released.started is not null then
    perform pgflow._queue_tasks(released.started);
  end if;
  perform pgflow._settle_run(completed.run_id);
  return null;
end
$$;

-- The same for many steps: run_ids names the run of each, `releasing` are those that have dependents.
create function pgflow._finish(run_ids uuid[], releasing pgflow.step_states[]) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  done     constant integer[] := array_fill(1, array[cardinality(run_ids)]);
  running  uuid[];
  released record;
  ready    pgflow.step_states[];
begin
  running := array(
    select r.run_id
    from (select distinct c.run_id from unnest(run_ids) c (run_id) order by c.run_id) held
    cross join lateral (
      select x.run_id, x.status from pgflow.runs x where x.run_id = held.run_id for no key update offset 0) r
    where r.status = 'started');

  if releasing is null then
    perform pgflow._settle_runs(run_ids, done);
    return null;
  end if;
  released := pgflow._release(releasing, running);
  if released.ready is not null then
    ready := (select array_agg(r) from unnest(released.ready) r where r.run_id = any (running));
  end if;
  return pgflow._go_on(ready, released.started, run_ids, done);
end
$$;

-- Refuses a started task's output where a map needs it as an array and it is none: then the task fails, and with it its step
-- and run, whose messages the caller archives. Returns the task where that is so, null where the output is all right.
create function pgflow._refuse_output(run_id uuid, step_slug text, task_index integer, output jsonb) returns pgflow.step_tasks
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  type constant text := coalesce(jsonb_typeof(output), 'null');
  map  text;
  task pgflow.step_tasks;
begin
  select m.step_slug into map
  from (
    select x.flow_slug, x.step_slug from pgflow.step_states x
    where x.run_id = _refuse_output.run_id and x.step_slug = _refuse_output.step_slug and x.status = 'started' offset 0) s
  cross join lateral (
    select x.step_slug from pgflow.deps x where x.flow_slug = s.flow_slug and x.dep_slug = s.step_slug offset 0) d
  cross join lateral (
    select x.step_slug, x.initial_tasks from pgflow.step_states x
    where x.run_id = _refuse_output.run_id and x.step_slug = d.step_slug offset 0) m
  where m.initial_tasks is null
  order by m.step_slug limit 1;
  if not found then
    return null;
  end if;

  update pgflow.step_tasks t
  set status = 'failed', output = _refuse_output.output, failed_at = greatest(clock_timestamp(), t.started_at),
      error_message = format('[TYPE_VIOLATION] Produced %s instead of array', type)
  where t.run_id = _refuse_output.run_id and t.step_slug = _refuse_output.step_slug
    and t.task_index = _refuse_output.task_index and t.status = 'started'
  returning t.* into task;
  if not found then
    return null;
  end if;
  perform from pgflow.step_states s where s.run_id = task.run_id and s.step_slug = task.step_slug for no key update;
  perform from pgflow.runs r where r.run_id = task.run_id and r.status = 'started' for no key update;
  if found then
    perform pgflow._fail_step(
      task.run_id, task.step_slug,
      format('[TYPE_VIOLATION] Map step %s expects array input but dependency %s produced %s', map, task.step_slug, type), true);
  end if;
  return task;
end
$$;

-- Archives the message of a task whose step is over, in a run that has not failed.
create function pgflow._archive_late(run_id uuid, step_slug text, task_index integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgflow._archive(t.flow_slug, array[t.message_id])
  from pgflow.step_tasks t
  join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
  join pgflow.runs r on r.run_id = t.run_id
  where t.run_id = _archive_late.run_id and t.step_slug = _archive_late.step_slug and t.task_index = _archive_late.task_index
    and s.status not in ('created', 'started') and r.status <> 'failed';
end
$$;


