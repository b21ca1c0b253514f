-- Starting tasks
-- ==============

-- Starts the tasks of messages that a worker has read, and returns them with their inputs; see _start_tasks.
create function pgflow.start_tasks(flow_slug text, msg_ids bigint[], worker_id uuid) returns setof pgflow.step_task_record
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  if exists (select from pgflow.paused_flows paused where paused.flow_slug = start_tasks.flow_slug) then
    -- The row is updated to make resume_flow wait for this transaction and find every message that is parked here.
    update pgflow.paused_flows paused set parked_at = clock_timestamp() where paused.flow_slug = start_tasks.flow_slug;
    if found then
      perform pgflow._park_messages(start_tasks.flow_slug, msg_ids);
      return;
    end if;
  end if;
  return query select * from pgflow._start_tasks(flow_slug, msg_ids, worker_id, null);
end
$$;

-- Reads up to qty messages, starts their tasks and returns them with their inputs; see _start_tasks.
create function pgflow.poll_tasks(queue_name text, worker_id uuid, qty integer default 10)
returns setof pgflow.step_task_record
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
  -- The time for which _start_tasks hides the message of a step without its own timeout.
  hidden_for constant integer := (
    select least(flow.opt_timeout, 2147483645) + 2 from pgflow.flows flow where flow.flow_slug = poll_tasks.queue_name);
begin
  -- Locked before the queue, as in delete_flow_and_data.
  lock table pgflow.step_tasks in row exclusive mode;
  if hidden_for is null then
    raise exception 'there is no flow "%"', poll_tasks.queue_name
      using errcode = 'foreign_key_violation', hint = 'Give the slug of a flow in pgflow.flows, which is also its queue''s name.';
  end if;
  -- No message has been read, so there is none to park.
  if exists (select from pgflow.paused_flows paused where paused.flow_slug = poll_tasks.queue_name) then
    return;
  end if;
  return query select * from pgflow._start_tasks(
    poll_tasks.queue_name,
    pgflow._read_messages(poll_tasks.queue_name, hidden_for, coalesce(poll_tasks.qty, 10)),
    poll_tasks.worker_id,
    hidden_for);
end
$$;

-- Starts the tasks of these messages that are queued, whose run and step are started, and that no other session has
-- locked. Returns them with their inputs, by message id. Their messages are hidden for the timeout of the step and 2
-- seconds more; hidden_for is the number of seconds for which the caller has hidden them already, or null.
create function pgflow._start_tasks(flow_slug text, msg_ids bigint[], worker_id uuid, hidden_for integer)
returns setof pgflow.step_task_record
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  returned integer;
begin
  return query
  with startable as (
    select locked.*, run.input as run_input
    from (select distinct given.id from unnest(_start_tasks.msg_ids) given (id) order by given.id) message
    cross join lateral (
      select task.ctid, task.run_id, task.step_slug from pgflow.step_tasks task
      where task.flow_slug = _start_tasks.flow_slug and task.message_id = message.id and task.started_at is null
      for no key update skip locked offset 0) locked
    cross join lateral (
      select state.status from pgflow.step_states state
      where state.run_id = locked.run_id and state.step_slug = locked.step_slug offset 0) state
    cross join lateral (
      select run.status, run.input from pgflow.runs run where run.run_id = locked.run_id offset 0) run
    where state.status = 'started' and run.status = 'started'
  ),
  started as (
    update pgflow.step_tasks task
    set status = 'started', attempts_count = task.attempts_count + 1,
        started_at = greatest(clock_timestamp(), task.queued_at), last_worker_id = _start_tasks.worker_id
    from startable
    where task.ctid = startable.ctid and task.status = 'queued'
    returning task.flow_slug, task.run_id, task.step_slug, task.task_index, task.message_id, startable.run_input
  ),
  task as (
    select started.*, step.step_type, step.deps_count,
           least(coalesce(step.opt_timeout, flow.opt_timeout), 2147483645) + 2 as hide_for
    from started
    cross join lateral (
      select step.step_type, step.deps_count, step.opt_timeout from pgflow.steps step
      where step.flow_slug = started.flow_slug and step.step_slug = started.step_slug offset 0) step
    cross join lateral (
      select flow.opt_timeout from pgflow.flows flow where flow.flow_slug = started.flow_slug offset 0) flow
  ),
  hidden as materialized (
    select pgflow._set_vt_skip_locked(_start_tasks.flow_slug, array_agg(task.message_id), array_agg(task.hide_for))
    from task
    where task.hide_for is distinct from hidden_for
    having count(*) > 0
  ),
  -- The array of each map, read and decompressed once for all of its tasks; `#> '{}'` only decompresses it.
  mapped as materialized (
    select map.run_id, map.step_slug,
           coalesce(dependency.output, case when map.deps_count = 0 then map.run_input end) #> '{}' as elements
    from (select distinct on (task.run_id, task.step_slug) task.* from task where task.step_type = 'map') map
    left join lateral pgflow._mapped_output(map.flow_slug, map.run_id, map.step_slug) dependency on true
  )
  select task.flow_slug, task.run_id, task.step_slug,
    case task.step_type
      when 'map' then (
        select mapped.elements -> task.task_index
        from mapped where mapped.run_id = task.run_id and mapped.step_slug = task.step_slug)
      else
        case pgflow.input_style() when 'merged' then jsonb_build_object('run', task.run_input) else '{}' end
        || case when task.deps_count = 0 then '{}' else (
          select dependencies.outputs
          from pgflow._dependency_outputs(task.flow_slug, task.run_id, task.step_slug) dependencies) end
    end,
    task.message_id, task.task_index,
    case when task.step_type = 'single' and task.deps_count = 0 then task.run_input end
  from task
  left join hidden on true
  order by task.message_id;

  get diagnostics returned = row_count;
  if returned < cardinality(msg_ids) then
    perform pgflow._show_queued_messages(_start_tasks.flow_slug, _start_tasks.msg_ids);
  end if;
end
$$;

-- Returns the output of the one dependency of a dependent map; no row for a root map. A table function, which the
-- planner inlines.
create function pgflow._mapped_output(flow_slug text, run_id uuid, step_slug text) returns table (output jsonb)
language sql stable
begin atomic
  select state.output
  from (
    select dependency.dep_slug from pgflow.deps dependency
    where dependency.flow_slug = _mapped_output.flow_slug and dependency.step_slug = _mapped_output.step_slug
    offset 0) dependency
  cross join lateral (
    select state.output from pgflow.step_states state
    where state.run_id = _mapped_output.run_id and state.step_slug = dependency.dep_slug
    offset 0) state;
end;

-- Makes the messages of tasks that are still queued visible after a second. Called if _start_tasks did not start every
-- task: it skips tasks that other sessions have locked, and a session that finds a task changed keeps the lock until
-- its transaction ends. Without this, such a message would stay hidden as long as that of a started task.
create function pgflow._show_queued_messages(flow_slug text, msg_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgflow._set_vt_skip_locked(_show_queued_messages.flow_slug, array_agg(message.id), array_agg(1))
  from (select distinct given.id from unnest(_show_queued_messages.msg_ids) given (id)) message
  cross join lateral (
    select task.run_id, task.step_slug from pgflow.step_tasks task
    where task.flow_slug = _show_queued_messages.flow_slug and task.message_id = message.id
      and task.started_at is null and task.status = 'queued' offset 0) task
  cross join lateral (
    select from pgflow.step_states state
    where state.run_id = task.run_id and state.step_slug = task.step_slug and state.status = 'started' offset 0) state
  cross join lateral (
    select from pgflow.runs run where run.run_id = task.run_id and run.status = 'started' offset 0) run
  having count(*) > 0;
end
$$;


