-- ─── Starting a run ─────────────────────────────────────────────────────────────────────────────────────────────────

-- Starts a run of a flow and returns it as it is then; it may be over already. The caller can give it an id, so that
-- starting it twice is a unique violation.
--
-- The statement that writes the run locks the table before it reads the steps: a migration that replaces the steps of a flow
-- without runs locks that table first.
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
  -- What a root map maps.
  elements constant integer := case when jsonb_typeof(input) = 'array' then jsonb_array_length(input) end;
  clock    constant timestamptz := clock_timestamp();
  made     record;
  run      pgflow.runs;
begin
  if elements is null and exists (
    select from pgflow.steps s
    where s.flow_slug = start_flow.flow_slug and s.step_type = 'map' and s.deps_count = 0
  ) then
    if input is null then
      raise exception 'Flow % has root map steps but input is NULL', start_flow.flow_slug;
    end if;
    raise exception 'Flow % has root map steps but input is not an array (got %)', start_flow.flow_slug, jsonb_typeof(input);
  end if;

  -- One statement, so that the run counts the very steps that it gets. Steps without dependencies start at once where none of
  -- them has a condition or lacks a task, as in _release.
  with step as (
    select x.step_slug, x.deps_count,
           case when x.step_type = 'single' then 1 when x.deps_count = 0 then elements end as tasks,
           x.deps_count = 0 and not coalesce(
             bool_or(x.required_input_pattern is not null or x.forbidden_input_pattern is not null
                     or x.step_type = 'map' and elements = 0) filter (where x.deps_count = 0) over (), false) as starts
    from pgflow.steps x
    where x.flow_slug = start_flow.flow_slug
  ),
  new as (
    insert into pgflow.runs as r (run_id, flow_slug, input, remaining_steps, started_at)
    values (coalesce(start_flow.run_id, gen_random_uuid()), start_flow.flow_slug, start_flow.input,
            (select count(*) from step), clock)
    returning r as run
  ),
  created as (
    insert into pgflow.step_states as s (
      flow_slug, run_id, step_slug, status, remaining_deps, initial_tasks, remaining_tasks, created_at, started_at)
    select (new.run).flow_slug, (new.run).run_id, step.step_slug, case when step.starts then 'started' else 'created' end,
           step.deps_count, step.tasks, case when step.starts then step.tasks end, clock, case when step.starts then clock end
    from new cross join step
    returning s as state
  )
  select new.run, states.ready, states.started into made
  from new cross join (
    select array_agg(c.state) filter (where (c.state).status = 'created' and (c.state).remaining_deps = 0) as ready,
           array_agg(c.state) filter (where (c.state).status = 'started') as started
    from created c
  ) states;
  run := made.run;

  perform pgflow._send_run_started(run);

  if made.ready is not null or made.started is not null then
    perform pgflow._go_on(made.ready, made.started, null, null);
  else
    -- A flow without steps.
    perform pgflow._settle_runs(array[run.run_id], array[0]);
  end if;
  return query select r.* from pgflow.runs r where r.run_id = run.run_id;
end
$$;

-- A run and the states of its steps, as JSON; null where there is no such run. Runs with its owner's rights, so that a
-- client can be given this without the tables.
create function pgflow.get_run_with_states(run_id uuid) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'run', to_jsonb(r),
    'steps', coalesce(
      (select jsonb_agg(to_jsonb(s) order by step.step_index)
       from pgflow.step_states s
       join pgflow.steps step on step.flow_slug = s.flow_slug and step.step_slug = s.step_slug
       where s.run_id = r.run_id),
      '[]'))
  from pgflow.runs r
  where r.run_id = get_run_with_states.run_id
$$;

-- start_flow, answering as get_run_with_states does, in a statement of its own: one that began before the run was made does
-- not see it.
create function pgflow.start_flow_with_states(flow_slug text, input jsonb, run_id uuid default null) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  run pgflow.runs;
begin
  select * into run
  from pgflow.start_flow(start_flow_with_states.flow_slug, start_flow_with_states.input, start_flow_with_states.run_id);
  return pgflow.get_run_with_states(run.run_id);
end
$$;


-- ─── Starting tasks ─────────────────────────────────────────────────────────────────────────────────────────────────

-- Puts messages of a paused flow away: invisible until resume_flow takes them back.
create function pgflow._park(queue_name text, msg_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format(
    $query$
      update pgmq.%1$I q set vt = 'infinity'
      from (select x.ctid from pgmq.%1$I x where x.msg_id = any ($1) for update skip locked) held
      where q.ctid = held.ctid
    $query$, 'q_' || lower(queue_name)
  ) using msg_ids;
end
$$;

-- Starts those of the tasks with these messages that are queued, and returns each with its input, in the order of the
-- messages. Their messages stay hidden for the step's timeout and 2 seconds more; hidden_for says for how many seconds a
-- caller has hidden them already, who has looked whether the flow is paused, and is null where nobody has. A task whose run
-- or step is not started any more is left out, and so is every task of a paused flow: its message is put away until
-- resume_flow. A task that somebody else holds is left out too: its message comes again in a second.
create function pgflow._start_tasks(flow_slug text, msg_ids bigint[], worker_id uuid, hidden_for integer)
returns setof pgflow.step_task_record
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  taken integer;
begin
  if hidden_for is null and exists (select from pgflow.paused_flows p where p.flow_slug = _start_tasks.flow_slug) then
    -- Written, so that resume_flow waits for it and finds every message that is put away here.
    update pgflow.paused_flows p set parked_at = clock_timestamp() where p.flow_slug = _start_tasks.flow_slug;
    if found then
      perform pgflow._park(_start_tasks.flow_slug, msg_ids);
      return;
    end if;
  end if;

  return query
  with startable as (
    select t.*, r.input as run_input
    from (select distinct m.id from unnest(_start_tasks.msg_ids) m (id) order by m.id) message
    cross join lateral (
      select x.ctid, x.run_id, x.step_slug from pgflow.step_tasks x
      where x.flow_slug = _start_tasks.flow_slug and x.message_id = message.id and x.started_at is null
      for no key update skip locked offset 0) t
    cross join lateral (
      select x.status from pgflow.step_states x where x.run_id = t.run_id and x.step_slug = t.step_slug offset 0) s
    cross join lateral (select x.status, x.input from pgflow.runs x where x.run_id = t.run_id offset 0) r
    where s.status = 'started' and r.status = 'started'
  ),
  started as (
    update pgflow.step_tasks t
    set status = 'started', attempts_count = t.attempts_count + 1, started_at = greatest(clock_timestamp(), t.queued_at),
        last_worker_id = _start_tasks.worker_id
    from startable
    where t.ctid = startable.ctid and t.status = 'queued'
    returning t.flow_slug, t.run_id, t.step_slug, t.task_index, t.message_id, startable.run_input
  ),
  task as (
    select t.*, step.step_type, step.deps_count, least(coalesce(step.opt_timeout, flow.opt_timeout), 2147483645) + 2 as hide_for
    from started t
    cross join lateral (
      select x.step_type, x.deps_count, x.opt_timeout from pgflow.steps x
      where x.flow_slug = t.flow_slug and x.step_slug = t.step_slug offset 0) step
    cross join lateral (select x.opt_timeout from pgflow.flows x where x.flow_slug = t.flow_slug offset 0) flow
  ),
  hidden as materialized (
    select pgflow._hide(_start_tasks.flow_slug, array_agg(t.message_id), array_agg(t.hide_for))
    from task t
    where t.hide_for is distinct from hidden_for
    having count(*) > 0
  ),
  -- The arrays that maps map, each read and decompressed once (which is all that `#> '{}'` does), however many of its elements
  -- there are tasks for.
  mapped as materialized (
    select m.run_id, m.step_slug, coalesce(dep.output, case when m.deps_count = 0 then m.run_input end) #> '{}' as elements
    from (select distinct on (t.run_id, t.step_slug) t.* from task t where t.step_type = 'map') m
    left join lateral (
      select o.output
      from (select x.dep_slug from pgflow.deps x where x.flow_slug = m.flow_slug and x.step_slug = m.step_slug offset 0) d
      cross join lateral (
        select x.output from pgflow.step_states x where x.run_id = m.run_id and x.step_slug = d.dep_slug offset 0) o
    ) dep on true
  )
  select t.flow_slug, t.run_id, t.step_slug,
    case t.step_type
      when 'map' then (
        select m.elements -> t.task_index from mapped m where m.run_id = t.run_id and m.step_slug = t.step_slug)
      else
        case pgflow.input_style() when 'merged' then jsonb_build_object('run', t.run_input) else '{}' end
        || case when t.deps_count = 0 then '{}' else (
          select coalesce(jsonb_object_agg(d.dep_slug, o.output), '{}')
          from (select x.dep_slug from pgflow.deps x where x.flow_slug = t.flow_slug and x.step_slug = t.step_slug offset 0) d
          cross join lateral (
            select x.output from pgflow.step_states x
            where x.run_id = t.run_id and x.step_slug = d.dep_slug and x.status = 'completed' offset 0) o) end
    end,
    t.message_id, t.task_index,
    case when t.step_type = 'single' and t.deps_count = 0 then t.run_input end
  from task t
  left join hidden on true
  order by t.message_id;

  -- Whoever finds that a task is not what it was keeps its row until the end, so a task that waits for a worker can have been
  -- left out. Its message must not stay hidden for as long as if it had been started.
  get diagnostics taken = row_count;
  if taken < cardinality(msg_ids) then
    perform pgflow._hide(_start_tasks.flow_slug, array_agg(message.id), array_agg(1))
    from (select distinct m.id from unnest(_start_tasks.msg_ids) m (id)) message
    cross join lateral (
      select x.run_id, x.step_slug from pgflow.step_tasks x
      where x.flow_slug = _start_tasks.flow_slug and x.message_id = message.id and x.started_at is null
        and x.status = 'queued' offset 0) t
    cross join lateral (
      select from pgflow.step_states x
      where x.run_id = t.run_id and x.step_slug = t.step_slug and x.status = 'started' offset 0) s
    cross join lateral (select from pgflow.runs x where x.run_id = t.run_id and x.status = 'started' offset 0) r
    having count(*) > 0;
  end if;
end
$$;

-- Starts the tasks with these messages and returns them with their inputs; see _start_tasks.
create function pgflow.start_tasks(flow_slug text, msg_ids bigint[], worker_id uuid) returns setof pgflow.step_task_record
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  return query select * from pgflow._start_tasks(flow_slug, msg_ids, worker_id, null);
end
$$;


