-- ─── What becomes of a step ─────────────────────────────────────────────────────────────────────────────────────────

-- Starts ready steps, and returns them as they are now; their tasks are still to be queued.
create function pgflow._start_steps(ready pgflow.step_states[]) returns pgflow.step_states[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock   constant timestamptz := clock_timestamp();
  started pgflow.step_states[];
begin
  with told as (
    update pgflow.step_states s
    set status = 'started', remaining_tasks = s.initial_tasks, started_at = greatest(clock, s.created_at)
    from unnest(ready) r
    cross join lateral (
      select x.ctid from pgflow.step_states x where x.run_id = r.run_id and x.step_slug = r.step_slug offset 0) place
    where s.ctid = place.ctid
    returning s as state
  )
  select array_agg(t.state) into started from told t;
  return started;
end
$$;

-- Queues the tasks of steps that have just started, a message for each element, and tells of it. What most calls have to
-- queue, single tasks of one flow with one start delay, goes the short way. retry_run leaves out the tasks that there are
-- already, which have completed.
create function pgflow._queue_tasks(started pgflow.step_states[], but_completed boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  batch record;
begin
  select min(s.flow_slug) as flow_slug, min(s.start_delay) as start_delay, array_agg(s.run_id) as run_ids,
         array_agg(s.step_slug) as step_slugs, array_agg(0) as task_indexes,
         max(s.initial_tasks) = 1 and min(s.flow_slug) = max(s.flow_slug) and min(s.start_delay) = max(s.start_delay)
         and not but_completed as is_simple
    into batch
  from (
    select s.flow_slug, s.run_id, s.step_slug, s.initial_tasks, step.start_delay
    from unnest(started) s
    cross join lateral (
      select coalesce(x.opt_start_delay, 0) as start_delay from pgflow.steps x
      where x.flow_slug = s.flow_slug and x.step_slug = s.step_slug offset 0) step
    order by s.run_id, s.step_slug
  ) s;

  if batch.is_simple then
    perform pgflow._queue(batch.flow_slug, batch.run_ids, batch.step_slugs, batch.task_indexes, batch.start_delay);
  else
    -- Messages go out in the order of the slugs: steps in a row that have one delay are a batch.
    for batch in
      with step as (
        select s.flow_slug, s.run_id, s.step_slug, s.initial_tasks, step.start_delay,
               step.start_delay is distinct from lag(step.start_delay) over (
                 partition by s.flow_slug order by s.run_id, s.step_slug) as begins
        from unnest(started) s
        cross join lateral (
          select coalesce(x.opt_start_delay, 0) as start_delay from pgflow.steps x
          where x.flow_slug = s.flow_slug and x.step_slug = s.step_slug offset 0) step
      ),
      numbered as (
        select s.*, count(*) filter (where s.begins) over (partition by s.flow_slug order by s.run_id, s.step_slug) as batch
        from step s
      )
      select t.flow_slug, min(t.start_delay) as start_delay, array_agg(t.run_id) as run_ids,
             array_agg(t.step_slug) as step_slugs, array_agg(t.task_index) as task_indexes
      from (
        select s.flow_slug, s.batch, s.start_delay, s.run_id, s.step_slug, i.task_index
        from numbered s
        cross join generate_series(0, s.initial_tasks - 1) i (task_index)
        where not but_completed or not exists (
          select from pgflow.step_tasks t
          where t.run_id = s.run_id and t.step_slug = s.step_slug and t.task_index = i.task_index offset 0)
        order by s.flow_slug, s.batch, s.run_id, s.step_slug, i.task_index
      ) t
      group by t.flow_slug, t.batch
      order by t.flow_slug, t.batch
    loop
      perform pgflow._queue(batch.flow_slug, batch.run_ids, batch.step_slugs, batch.task_indexes, batch.start_delay);
    end loop;
  end if;

  if pgflow._tells() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'step:started', 'run_id', s.run_id, 'step_slug', s.step_slug, 'status', s.status,
        'started_at', s.started_at, 'remaining_tasks', s.remaining_tasks, 'remaining_deps', s.remaining_deps),
      'step:' || s.step_slug || ':started', 'pgflow:run:' || s.run_id, false)
    from (select s.* from unnest(started) s order by s.run_id, s.step_slug) s;
  end if;
end
$$;

-- Completes ready steps that have no task, which are maps of an empty array, and returns them as they are now.
create function pgflow._complete_taskless(ready pgflow.step_states[]) returns pgflow.step_states[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock     constant timestamptz := clock_timestamp();
  completed pgflow.step_states[];
begin
  with changed as (
    update pgflow.step_states s
    set status = 'completed', remaining_tasks = 0, output = '[]',
        started_at = greatest(clock, s.created_at), completed_at = greatest(clock, s.created_at)
    from unnest(ready) r
    cross join lateral (
      select x.ctid from pgflow.step_states x where x.run_id = r.run_id and x.step_slug = r.step_slug offset 0) place
    where s.ctid = place.ctid
    returning s as state
  )
  select array_agg(c.state order by step.step_index) into completed
  from changed c
  cross join lateral (
    select x.step_index from pgflow.steps x
    where x.flow_slug = (c.state).flow_slug and x.step_slug = (c.state).step_slug offset 0) step;

  if pgflow._tells() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'step:completed', 'run_id', s.run_id, 'step_slug', s.step_slug, 'status', s.status, 'output', s.output,
        'started_at', s.started_at, 'completed_at', s.completed_at, 'remaining_tasks', 0, 'remaining_deps', 0),
      'step:' || s.step_slug || ':completed', 'pgflow:run:' || s.run_id, false)
    from unnest(completed) s;
  end if;
  return completed;
end
$$;

-- Skips steps and, where asked, everything that depends on them; returns all of them as they are now. The error is that
-- of the handler which failed, null where a condition was not met.
create function pgflow._skip(steps pgflow.step_states[], reason text, error text, cascade boolean) returns pgflow.step_states[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  skipped pgflow.step_states[];
begin
  with recursive below as (
    select s.flow_slug, s.run_id, s.step_slug, true as is_cause from unnest(steps) s
    union
    select b.flow_slug, b.run_id, d.step_slug, false
    from below b
    cross join lateral (
      select x.step_slug from pgflow.deps x where x.flow_slug = b.flow_slug and x.dep_slug = b.step_slug offset 0) d
    where cascade
  ),
  changed as (
    update pgflow.step_states s
    set status = 'skipped', remaining_tasks = null, skipped_at = greatest(clock_timestamp(), s.created_at),
        skip_reason = case when b.is_cause then reason else 'dependency_skipped' end,
        error_message = case when b.is_cause then error end
    from below b
    cross join lateral (
      select x.ctid from pgflow.step_states x where x.run_id = b.run_id and x.step_slug = b.step_slug offset 0) place
    where s.ctid = place.ctid and s.status in ('created', 'started')
    returning s as state
  )
  select array_agg(c.state order by (c.state).skip_reason = 'dependency_skipped', step.step_index) into skipped
  from changed c
  cross join lateral (
    select x.step_index from pgflow.steps x
    where x.flow_slug = (c.state).flow_slug and x.step_slug = (c.state).step_slug offset 0) step;

  if pgflow._tells() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'step:skipped', 'run_id', s.run_id, 'step_slug', s.step_slug, 'status', s.status,
        'skip_reason', s.skip_reason, 'skipped_at', s.skipped_at)
      || case when s.skip_reason = 'handler_failed' then jsonb_build_object('error_message', s.error_message)
              else jsonb_build_object('flow_slug', s.flow_slug) end,
      'step:' || s.step_slug || ':skipped', 'pgflow:run:' || s.run_id, false)
    from unnest(skipped) s;
  end if;
  return skipped;
end
$$;

-- Fails a step and, with it, its run, both held by the caller, who archives the run's messages at the end of its work, with
-- all others that it has to archive: nothing of the run will be worked on any more. What its other steps and tasks have come
-- to stays as it is. A type violation is told of the run first and without its text.
create function pgflow._fail_step(run_id uuid, step_slug text, error text, is_violation boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock constant timestamptz := clock_timestamp();
  state pgflow.step_states;
  run   pgflow.runs;
begin
  update pgflow.step_states s
  set status = 'failed', failed_at = greatest(clock, s.created_at, s.started_at), error_message = error
  where s.run_id = _fail_step.run_id and s.step_slug = _fail_step.step_slug
  returning s.* into state;
  update pgflow.runs r
  set status = 'failed', failed_at = greatest(clock, r.started_at)
  where r.run_id = _fail_step.run_id
  returning r.* into run;

  if is_violation then
    perform pgflow._send_run_failed(run);
  end if;
  if pgflow._tells() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'step:failed', 'run_id', state.run_id, 'step_slug', state.step_slug, 'status', state.status,
        'error_message', state.error_message, 'failed_at', state.failed_at),
      'step:' || state.step_slug || ':failed', 'pgflow:run:' || state.run_id, false);
  end if;
  if not is_violation then
    perform pgflow._send_run_failed(run, jsonb_build_object('error_message', error));
  end if;
end
$$;


