-- The workflow engine, part 2: running flows.
--
-- What calls what; names that begin with _ are the engine's own:
--
--   start_flow ──────────────────────────────────────────┐
--   complete_task ──→ _refuse_output, _finish_one ───────┤
--   complete_tasks ─→ _refuse_output, _finish ───────────┼─→ _go_on ─┬─→ _resolve ─→ _skip, _complete_taskless,
--     (both release what waited: _release)               │           │                _release, _fail_step
--   fail_task ──────→ _fail_step or _skip, _release ─────┘           ├─→ _start_steps, _send_tasks
--                                                                    └─→ _settle_runs: counts, and ends runs
--   start_tasks ────→ _start_tasks, or _park where the flow is paused
--   requeue_stalled_tasks, set_vt_batch                      on their own
--
--   everything ─────→ _archive, _archive_with_runs, _hide, _delay, _send, _read: statements on queues
--
-- A **ready** step has no open dependency and is still `created`. Whoever makes steps ready hands them to `_go_on`, which
-- decides their conditions, completes those that have no task, starts the others, and finishes runs that have nothing
-- left. Every function works on sets (the tasks of a batch, the ready steps of many runs), so that a batch costs a few
-- statements and not a few a task.
--
-- Lock order, which replaces the one in part 1. Each call takes what it takes in this order, so that no two calls can
-- deadlock; a transaction of several calls can, as with any tables, and so can one that reads a queue, then starts its tasks,
-- while somebody deletes the flow.
--
--   1. tasks            by primary key; start_tasks, poll_tasks and the recovery leave out those that others hold, so that
--                       nobody waits for a task who holds a message
--   2. states of steps that were started   by (run_id, step_slug): where the tasks of one map meet
--   3. runs             by run_id; by complete_task only where a step finishes, so that the tasks of a map seldom wait
--   4. states of steps that wait           of runs that are held; nobody else touches them
--   5. queue messages   archived by msg_id; whoever hides messages leaves out those that others hold
--
-- Whether a step or run has ended meanwhile is read without a lock before 1. A task that completes in that very moment is as
-- if it had completed just before: counters go on counting, nothing new is started.
--
-- How statements find rows. Tables grow by thousands of rows a second while statistics come a minute later, so no plan here
-- may depend on sizes. The functions that workers call switch off every plan but index scans and nested loops, for themselves
-- and for what they call, make each plan once a session and never compile one. Sets are looked up one by one, by `cross join
-- lateral (… offset 0)` on a whole key, and updated by the place (ctid) that this found: a scan of a table cannot be chosen
-- then. That is for rows that are held already, since an update by place loses a row that somebody moves meanwhile. Partial
-- indexes are on conditions that only their own statement names.
--
-- Times are the clock's, not the transaction's, so that durations are true in a transaction that also does the work, and
-- never before the time that they follow, whatever the clock does.


-- ─── Indexes ───────────────────────────────────────────────────────────────────────────────────────────────

-- Tasks that nobody has started, which start_tasks finds by their messages, and tasks that somebody works on, which the
-- recovery finds by age. Neither holds a task that has completed, so they stay small whatever their number. What is left of
-- failed runs stays in the first until it is pruned, and in the second until the recovery has seen it once.
drop index pgflow.step_tasks_queued;
drop index pgflow.step_tasks_started;
create index step_tasks_waiting on pgflow.step_tasks (flow_slug, message_id) where started_at is null;
create index step_tasks_working on pgflow.step_tasks (started_at)
  where started_at is not null and completed_at is null and failed_at is null and permanently_stalled_at is null;

-- With the dependency in it, so that the primary key has no advantage where a step's dependencies are looked up.
drop index pgflow.deps_by_step;
create index deps_by_step on pgflow.deps (flow_slug, step_slug) include (dep_slug);

-- ─── Events ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Part 1's realtime.send, where the database has it and not Supabase's, with a switch: PostgreSQL lets one transaction at a
-- time commit that has notified, however many workers there are, so a database in which nobody listens does more without:
--
--   alter database … set pgflow.events = off
do $do$
begin
  if exists (
    select from pg_catalog.pg_proc p
    where p.oid = to_regprocedure('realtime.send(jsonb, text, text, boolean)') and p.prosrc like '%pgflow_events%'
  ) then
    create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
    as $$
    declare
      slim         jsonb;
      notification text;
    begin
      if current_setting('pgflow.events', true) = 'off' then
        return;
      end if;
      notification := jsonb_build_object('event', event, 'topic', topic, 'payload', payload, 'timestamp', clock_timestamp());
      if octet_length(notification) >= 8000 then
        slim := payload - 'input' - 'output' || '{"truncated": true}';
        notification := jsonb_build_object('event', event, 'topic', topic, 'payload', slim, 'timestamp', clock_timestamp());
      end if;
      if octet_length(notification) >= 8000 then
        slim := jsonb_strip_nulls(jsonb_build_object(
          'event_type', slim -> 'event_type', 'run_id', slim -> 'run_id', 'flow_slug', slim -> 'flow_slug',
          'step_slug', slim -> 'step_slug', 'status', slim -> 'status',
          'error_message', left(slim ->> 'error_message', 500), 'truncated', true));
        notification := jsonb_build_object('event', event, 'topic', topic, 'payload', slim, 'timestamp', clock_timestamp());
      end if;
      perform pg_notify('pgflow_events', notification);
    end
    $$;
  end if;
end
$do$;


-- ─── Pausing ────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Flows whose tasks nobody may start; pause_flow and resume_flow, in part 3, write it. parked_at is when start_tasks last put
-- messages away.
create table pgflow.paused_flows (
  flow_slug text        not null,
  paused_at timestamptz not null default now(),
  paused_by text        not null default session_user,
  parked_at timestamptz,
  constraint paused_flows_pkey primary key (flow_slug),
  constraint paused_flows_flow_slug_fkey foreign key (flow_slug) references pgflow.flows (flow_slug) on delete cascade
);


-- ─── Room on pages ──────────────────────────────────────────────────────────────────────────────────────────────────

-- States and runs are updated several times soon after they are inserted. With room on their page, updates of counters stay
-- there (HOT) and touch no index.
alter table pgflow.step_states set (fillfactor = 70);
alter table pgflow.runs set (fillfactor = 70);


-- Part 1's, null where an argument is.
create or replace function pgflow.calculate_retry_delay(base_delay numeric, attempts_count integer) returns integer
language sql immutable parallel safe
return case when base_delay is not null and attempts_count is not null then
  least(floor(base_delay * power(2::numeric, least(attempts_count, 200)::numeric)), 2147483647)::integer end;


-- ─── Messages ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- A queue is a table of its own, so statements on it are dynamic, and PostgreSQL would parse and plan them anew for each call,
-- which takes three times as long as running them. So a session prepares the few that every task needs, once a queue. One
-- that has not, or has forgotten them (discard all), finds out by the error, and prepares them.
--
-- Only where the caller's own rights are at work: whoever calls a function that runs with its owner's rights may have
-- prepared something else under that name. There, the statement runs as it is.

-- The statement for a purpose, on these arguments: values as SQL, or $1 and $2 to prepare it. Columns are what this pgmq has:
-- headers came with 1.5, the time of the last reading later.
create function pgflow._queue_sql(purpose text, queue_name text, variadic arguments text[]) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  queue   constant text := format('pgmq.%I', 'q_' || lower(queue_name));
  archive constant text := format('pgmq.%I', 'a_' || lower(queue_name));
  columns text;
begin
  case purpose
  -- Messages leave the queue for its archive, with all that both tables hold, in the order of an index scan.
  when 'archive' then
    select string_agg(format('%I', q.attname), ', ' order by q.attnum) into columns
    from pg_attribute q join pg_attribute a on a.attname = q.attname and a.attrelid = archive::regclass and a.attnum > 0
    where q.attrelid = queue::regclass and q.attnum > 0 and not q.attisdropped and not a.attisdropped;
    return format(
      'with gone as (delete from %1$s q where q.msg_id = any (%4$s::bigint[]) returning %3$s) '
      'insert into %2$s (%3$s) select %3$s from gone', queue, archive, columns, arguments[1]);
  -- Messages become visible so many seconds from now, each its own. Those that somebody holds are left out: they are being
  -- archived or hidden already.
  when 'hide' then
    return format(
      'update %1$s q set vt = clock_timestamp() + make_interval(secs => held.vt_offset) '
      'from (select m.ctid, given.vt_offset '
      '  from (select distinct on (g.id) g.id, g.vt_offset '
      '    from unnest(%2$s::bigint[], %3$s::integer[]) with ordinality g (id, vt_offset, place) order by g.id, g.place) given '
      '  cross join lateral (select x.ctid from %1$s x where x.msg_id = given.id for update skip locked offset 0) m) held '
      'where q.ctid = held.ctid', queue, arguments[1], arguments[2]);
  -- One message becomes visible so many seconds from now, whoever holds it at present.
  when 'delay' then
    return format(
      'update %s q set vt = clock_timestamp() + make_interval(secs => %s::integer) where q.msg_id = %s::bigint',
      queue, arguments[2], arguments[1]);
  -- One message, visible so many seconds from now.
  when 'send' then
    return format(
      'insert into %s (vt, message) values (clock_timestamp() + make_interval(secs => %s::integer), %s::jsonb) returning msg_id',
      queue, arguments[2], arguments[1]);
  -- As pgmq.read does: the next visible messages, hidden for so many seconds.
  when 'read' then
    select coalesce(max(', last_read_at = clock_timestamp()'), '') into columns
    from pg_attribute q where q.attrelid = queue::regclass and q.attname = 'last_read_at' and not q.attisdropped;
    return format(
      'with next as (select q.msg_id from %1$s q where q.vt <= clock_timestamp() order by q.msg_id limit %4$s::integer '
      'for update skip locked), '
      'taken as (update %1$s q set vt = clock_timestamp() + make_interval(secs => %3$s::integer), '
      'read_ct = q.read_ct + 1%2$s from next where q.msg_id = next.msg_id returning q.msg_id) '
      'select array_agg(t.msg_id) from taken t', queue, columns, arguments[1], arguments[2]);
  end case;
end
$$;

-- What to execute for a purpose: the prepared statement where it may be trusted.
create function pgflow._queue_call(purpose text, queue_name text, variadic arguments text[]) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_user = session_user then
    return format('execute %I(%s)', 'pgflow_' || purpose || '_' || lower(queue_name), array_to_string(arguments, ', '));
  end if;
  return pgflow._queue_sql(purpose, queue_name, variadic arguments);
end
$$;

-- Prepares the statement for a purpose in this session.
create function pgflow._prepare(purpose text, queue_name text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('prepare %I as %s',
    'pgflow_' || purpose || '_' || lower(queue_name), pgflow._queue_sql(purpose, queue_name, '$1', '$2'));
end
$$;

-- Makes messages visible so many seconds from now, each its own, without those that somebody else holds.
create function pgflow._hide(queue_name text, msg_ids bigint[], vt_offsets integer[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call constant text := pgflow._queue_call('hide', queue_name, quote_literal(msg_ids), quote_literal(vt_offsets));
begin
  execute call;
exception when invalid_sql_statement_name then
  perform pgflow._prepare('hide', queue_name);
  execute call;
end
$$;

-- Makes a message visible so many seconds from now.
create function pgflow._delay(queue_name text, msg_id bigint, seconds integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call constant text := pgflow._queue_call('delay', queue_name, quote_literal(msg_id), quote_literal(seconds));
begin
  execute call;
exception when invalid_sql_statement_name then
  perform pgflow._prepare('delay', queue_name);
  execute call;
end
$$;

-- Archives messages, in the order of their ids.
create function pgflow._archive(queue_name text, msg_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call constant text := pgflow._queue_call('archive', queue_name, quote_literal(msg_ids));
begin
  execute call;
exception when invalid_sql_statement_name then
  perform pgflow._prepare('archive', queue_name);
  execute call;
end
$$;

-- Sends a message, visible after so many seconds, and returns its id.
create function pgflow._send(queue_name text, message jsonb, delay integer) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call constant text := pgflow._queue_call('send', queue_name, quote_literal(message), quote_literal(delay));
  id   bigint;
begin
  execute call into id;
  return id;
exception when invalid_sql_statement_name then
  perform pgflow._prepare('send', queue_name);
  execute call into id;
  return id;
end
$$;

-- Takes the next messages that are visible, hides them for so many seconds and returns their ids, null where there is none.
create function pgflow._read(queue_name text, hidden_for integer, qty integer) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call constant text := pgflow._queue_call('read', queue_name, quote_literal(hidden_for), quote_literal(qty));
  ids  bigint[];
begin
  execute call into ids;
  return ids;
exception when invalid_sql_statement_name then
  perform pgflow._prepare('read', queue_name);
  execute call into ids;
  return ids;
end
$$;

-- The same for workers, which want the messages back. Headers came with pgmq 1.5; read as JSON, they are null before.
create function pgflow.set_vt_batch(queue_name text, msg_ids bigint[], vt_offsets integer[])
returns table (msg_id bigint, read_ct integer, enqueued_at timestamptz, vt timestamptz, message jsonb, headers jsonb)
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
  if msg_ids is null or vt_offsets is null or cardinality(msg_ids) = 0 or cardinality(vt_offsets) = 0 then
    return;
  end if;
  if cardinality(msg_ids) <> cardinality(vt_offsets) then
    raise exception 'msg_ids length (%) must equal vt_offsets length (%)', cardinality(msg_ids), cardinality(vt_offsets);
  end if;
  perform pgflow._hide(queue_name, msg_ids, vt_offsets);
  return query execute format(
    $query$
      select q.msg_id, q.read_ct, q.enqueued_at, q.vt, q.message, nullif(to_jsonb(q) -> 'headers', 'null')
      from (select g.msg_id, min(g.place) as place from unnest($1) with ordinality g (msg_id, place) group by g.msg_id) given
      join pgmq.%I q using (msg_id)
      order by given.place
    $query$, 'q_' || lower(queue_name)
  ) using msg_ids;
end
$$;


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

-- Queues the tasks of steps that have just started, a message for each element, in one batch a queue and start delay, and
-- tells of it. A single task, which most calls have to send, goes the short way. retry_run leaves out the tasks that there
-- are already, which have completed.
create function pgflow._send_tasks(started pgflow.step_states[], but_completed boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  clock constant timestamptz := clock_timestamp();
  one   pgflow.step_states;
  delay integer;
begin
  if cardinality(started) = 1 and started[1].initial_tasks = 1 then
    one := started[1];
    select coalesce(s.opt_start_delay, 0) into delay
    from pgflow.steps s where s.flow_slug = one.flow_slug and s.step_slug = one.step_slug;
    insert into pgflow.step_tasks (flow_slug, run_id, step_slug, message_id, queued_at)
    select one.flow_slug, one.run_id, one.step_slug, pgflow._send(one.flow_slug, jsonb_build_object(
      'flow_slug', one.flow_slug, 'run_id', one.run_id, 'step_slug', one.step_slug, 'task_index', 0), delay), clock;
  else
    -- Messages go out in the order of the slugs: steps in a row that have one delay are a batch.
    with step as (
      select s.flow_slug, s.run_id, s.step_slug, s.initial_tasks, coalesce(step.opt_start_delay, 0) as start_delay,
             coalesce(step.opt_start_delay, 0) is distinct from lag(coalesce(step.opt_start_delay, 0)) over (
               partition by s.flow_slug order by s.run_id, s.step_slug) as begins
      from unnest(started) s
      cross join lateral (
        select x.opt_start_delay from pgflow.steps x
        where x.flow_slug = s.flow_slug and x.step_slug = s.step_slug offset 0) step
    ),
    numbered as (
      select s.*, count(*) filter (where s.begins) over (partition by s.flow_slug order by s.run_id, s.step_slug) as batch
      from step s
    ),
    batch as (
      select t.flow_slug, t.batch, min(t.start_delay) as start_delay, array_agg(t.run_id) as run_ids,
             array_agg(t.step_slug) as step_slugs, array_agg(t.task_index) as task_indexes,
             array_agg(jsonb_build_object(
               'flow_slug', t.flow_slug, 'run_id', t.run_id, 'step_slug', t.step_slug, 'task_index', t.task_index)) as messages
      from (
        select s.flow_slug, s.batch, s.start_delay, s.run_id, s.step_slug, i.task_index
        from numbered s
        cross join generate_series(0, s.initial_tasks - 1) i (task_index)
        where not but_completed or not exists (
          select from pgflow.step_tasks t
          where t.run_id = s.run_id and t.step_slug = s.step_slug and t.task_index = i.task_index)
        order by s.flow_slug, s.batch, s.run_id, s.step_slug, i.task_index
      ) t
      group by t.flow_slug, t.batch
      order by t.flow_slug, t.batch
    )
    insert into pgflow.step_tasks (flow_slug, run_id, step_slug, task_index, message_id, queued_at)
    select b.flow_slug, sent.run_id, sent.step_slug, sent.task_index, sent.message_id, clock
    from batch b
    cross join lateral rows from (
      pgmq.send_batch(b.flow_slug, b.messages, b.start_delay), unnest(b.run_ids), unnest(b.step_slugs), unnest(b.task_indexes)
    ) sent (message_id, run_id, step_slug, task_index);
  end if;

  perform realtime.send(
    jsonb_build_object(
      'event_type', 'step:started', 'run_id', s.run_id, 'step_slug', s.step_slug, 'status', s.status,
      'started_at', s.started_at, 'remaining_tasks', s.remaining_tasks, 'remaining_deps', s.remaining_deps),
    'step:' || s.step_slug || ':started', 'pgflow:run:' || s.run_id, false)
  from (select s.* from unnest(started) s order by s.run_id, s.step_slug) s;
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

  perform realtime.send(
    jsonb_build_object(
      'event_type', 'step:completed', 'run_id', s.run_id, 'step_slug', s.step_slug, 'status', s.status, 'output', s.output,
      'started_at', s.started_at, 'completed_at', s.completed_at, 'remaining_tasks', 0, 'remaining_deps', 0),
    'step:' || s.step_slug || ':completed', 'pgflow:run:' || s.run_id, false)
  from unnest(completed) s;
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

  perform realtime.send(
    jsonb_build_object(
      'event_type', 'step:skipped', 'run_id', s.run_id, 'step_slug', s.step_slug, 'status', s.status,
      'skip_reason', s.skip_reason, 'skipped_at', s.skipped_at)
    || case when s.skip_reason = 'handler_failed' then jsonb_build_object('error_message', s.error_message)
            else jsonb_build_object('flow_slug', s.flow_slug) end,
    'step:' || s.step_slug || ':skipped', 'pgflow:run:' || s.run_id, false)
  from unnest(skipped) s;
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
  perform realtime.send(
    jsonb_build_object(
      'event_type', 'step:failed', 'run_id', state.run_id, 'step_slug', state.step_slug, 'status', state.status,
      'error_message', state.error_message, 'failed_at', state.failed_at),
    'step:' || state.step_slug || ':failed', 'pgflow:run:' || state.run_id, false);
  if not is_violation then
    perform pgflow._send_run_failed(run, jsonb_build_object('error_message', error));
  end if;
end
$$;


-- ─── What becomes of a run ──────────────────────────────────────────────────────────────────────────────────────────

-- The event of a run that starts.
create function pgflow._send_run_started(run pgflow.runs) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform realtime.send(
    jsonb_build_object(
      'event_type', 'run:started', 'run_id', run.run_id, 'flow_slug', run.flow_slug, 'input', run.input,
      'status', run.status, 'remaining_steps', run.remaining_steps, 'started_at', run.started_at),
    'run:started', 'pgflow:run:' || run.run_id, false);
end
$$;

-- The event of a failed run, with what else there is to tell.
create function pgflow._send_run_failed(run pgflow.runs, more jsonb default '{}') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform realtime.send(
    jsonb_build_object(
      'event_type', 'run:failed', 'run_id', run.run_id, 'flow_slug', run.flow_slug, 'status', run.status,
      'failed_at', run.failed_at) || more,
    'run:failed', 'pgflow:run:' || run.run_id, false);
end
$$;

-- The event of a completed run.
create function pgflow._send_run_completed(run pgflow.runs) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform realtime.send(
    jsonb_build_object(
      'event_type', 'run:completed', 'run_id', run.run_id, 'flow_slug', run.flow_slug, 'status', run.status,
      'output', run.output, 'completed_at', run.completed_at),
    'run:completed', 'pgflow:run:' || run.run_id, false);
end
$$;

-- What a run whose steps are all done has for output: that of each leaf that completed; null of a flow without steps.
create function pgflow._run_output(run_id uuid, flow_slug text) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce(jsonb_object_agg(s.step_slug, s.output) filter (where s.status = 'completed'),
                    case when count(*) > 0 then '{}'::jsonb end)
    from pgflow.step_states s
    where s.run_id = _run_output.run_id
      and not exists (
        select from pgflow.deps d where d.flow_slug = _run_output.flow_slug and d.dep_slug = s.step_slug offset 0));
end
$$;

-- Archives messages of one flow: those given, and those of the open tasks of runs that have failed. All at once, so that they
-- are taken in their order.
create function pgflow._archive_with_runs(flow_slug text, msg_ids bigint[], failed uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  all_ids constant bigint[] := msg_ids || array(
    select t.message_id
    from unnest(failed) r (run_id)
    cross join lateral (
      select x.message_id, x.status from pgflow.step_tasks x
      where x.run_id = r.run_id and x.flow_slug = _archive_with_runs.flow_slug offset 0) t
    where t.status in ('queued', 'started'));
begin
  if cardinality(all_ids) > 0 then
    perform pgflow._archive(flow_slug, all_ids);
  end if;
end
$$;

-- Counts steps that are done: done[i] more of run_ids[i], which the caller holds. A started run that has none left
-- completes; its output has that of each leaf that completed.
create function pgflow._settle_runs(run_ids uuid[], done integer[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  completed pgflow.runs[];
begin
  with counted as (
    select c.run_id, sum(c.steps)::integer as steps from unnest(run_ids, done) c (run_id, steps) group by c.run_id
  ),
  changed as (
    update pgflow.runs r
    set remaining_steps = r.remaining_steps - c.steps,
        status          = case when r.status = 'started' and r.remaining_steps = c.steps then 'completed' else r.status end,
        completed_at    = case when r.status = 'started' and r.remaining_steps = c.steps
                               then greatest(clock_timestamp(), r.started_at) end,
        output          = case when r.status = 'started' and r.remaining_steps = c.steps
                               then pgflow._run_output(r.run_id, r.flow_slug) end
    from counted c
    cross join lateral (select x.ctid from pgflow.runs x where x.run_id = c.run_id offset 0) place
    where r.ctid = place.ctid
    returning r as run
  )
  select array_agg(c.run) filter (where (c.run).status = 'completed') into completed from changed c;

  if completed is not null then
    perform pgflow._send_run_completed(r) from unnest(completed) r;
  end if;
end
$$;


-- Counts one step that is done, as _settle_runs does, of a run that the caller holds: what most calls have to count.
create function pgflow._settle_run(run_id uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  run pgflow.runs;
begin
  select r.* into run from pgflow.runs r where r.run_id = _settle_run.run_id;
  if run.status = 'started' and run.remaining_steps = 1 then
    update pgflow.runs r
    set remaining_steps = 0, status = 'completed', completed_at = greatest(clock_timestamp(), r.started_at),
        output = pgflow._run_output(run.run_id, run.flow_slug)
    where r.run_id = run.run_id
    returning r.* into run;
    perform pgflow._send_run_completed(run);
  else
    update pgflow.runs r set remaining_steps = r.remaining_steps - 1 where r.run_id = run.run_id;
  end if;
end
$$;


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
    perform pgflow._send_tasks(started);
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
  perform realtime.send(
    jsonb_build_object(
      'event_type', 'step:completed', 'run_id', state.run_id, 'step_slug', state.step_slug, 'status', state.status,
      'output', state.output, 'completed_at', state.completed_at),
    'step:' || state.step_slug || ':completed', 'pgflow:run:' || state.run_id, false);
end
$$;

-- What follows when a step has just completed: its event, its dependents, its run, which is taken. Where the run has failed in
-- this moment, only the counters go on. Returns the runs that a condition has failed.
create function pgflow._finish_one(completed pgflow.step_states, has_dependents boolean) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  running boolean;
  ready   pgflow.step_states[];
  started pgflow.step_states[];
begin
  select r.status = 'started' into running from pgflow.runs r where r.run_id = completed.run_id for no key update;
  perform pgflow._send_step_completed(completed);
  if has_dependents then
    select r.ready, r.started into ready, started
    from pgflow._release(array[completed], case when running then array[completed.run_id] end) r;
  end if;
  if running and ready is not null then
    return pgflow._go_on(ready, started, array[completed.run_id], array[1]);
  end if;
  if started is not null then
    perform pgflow._send_tasks(started);
  end if;
  perform pgflow._settle_run(completed.run_id);
  return null;
end
$$;

-- The same for many steps.
create function pgflow._finish(completed pgflow.step_states[]) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  running uuid[];
  ready   pgflow.step_states[];
  started pgflow.step_states[];
begin
  running := array(
    select r.run_id
    from (select distinct s.run_id from unnest(completed) s order by s.run_id) held
    cross join lateral (
      select x.run_id, x.status from pgflow.runs x where x.run_id = held.run_id for no key update offset 0) r
    where r.status = 'started');

  perform pgflow._send_step_completed(s) from unnest(completed) s;

  select r.ready, r.started into ready, started from pgflow._release(completed, running) r;
  if ready is not null then
    ready := (select array_agg(r) from unnest(ready) r where r.run_id = any (running));
  end if;
  if ready is null and started is null then
    perform pgflow._settle_runs(array_agg(s.run_id), array_agg(1)) from unnest(completed) s;
    return null;
  end if;
  return pgflow._go_on(ready, started, array_agg(s.run_id), array_agg(1)) from unnest(completed) s;
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
  perform pgmq.archive(t.flow_slug, t.message_id)
  from pgflow.step_tasks t
  join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
  join pgflow.runs r on r.run_id = t.run_id
  where t.run_id = _archive_late.run_id and t.step_slug = _archive_late.step_slug and t.task_index = _archive_late.task_index
    and s.status not in ('created', 'started') and r.status <> 'failed';
end
$$;


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
-- caller has hidden them already, who has looked whether the flow is paused, and is null where nobody has. A task whose run or step is not started any more is left out, and so is every task of a
-- paused flow: its message is put away until resume_flow. A task that somebody else holds is left out too: whoever holds a
-- queued task is starting or deleting it.
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


-- ─── Completing tasks ───────────────────────────────────────────────────────────────────────────────────────────────

-- Completes a task of a started step in a started run with its output, and returns it as it is then. Any other task is
-- returned as it is, so that completing twice is harmless; where its step is over, its message is archived.
--
-- One row at a time and without the arrays of complete_tasks, which does the same for many: a statement for one row takes
-- half as long, and this is what workers call most.
create function pgflow.complete_task(run_id uuid, step_slug text, task_index integer, output jsonb)
returns setof pgflow.step_tasks
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
  clock          constant timestamptz := clock_timestamp();
  is_single      boolean;
  has_dependents boolean;
  run_status     text;
  task           pgflow.step_tasks;
  state          pgflow.step_states;
  failed         uuid[];
begin
  select step.is_single, r.status,
         exists (select from pgflow.deps d where d.flow_slug = r.flow_slug and d.dep_slug = complete_task.step_slug)
    into is_single, run_status, has_dependents
  from (select x.flow_slug, x.status from pgflow.runs x where x.run_id = complete_task.run_id offset 0) r
  cross join lateral (
    select x.step_type = 'single' as is_single from pgflow.steps x
    where x.flow_slug = r.flow_slug and x.step_slug = complete_task.step_slug offset 0) step;

  if run_status = 'started' then
    if is_single and has_dependents and jsonb_typeof(complete_task.output) is distinct from 'array' then
      task := pgflow._refuse_output(
        complete_task.run_id, complete_task.step_slug, complete_task.task_index, complete_task.output);
      if task.run_id is not null then
        perform pgflow._archive_with_runs(task.flow_slug, array[task.message_id], array[task.run_id]);
        return next task;
        return;
      end if;
    end if;
    update pgflow.step_tasks t
    set status = 'completed', output = complete_task.output, completed_at = greatest(clock, t.started_at)
    where t.run_id = complete_task.run_id and t.step_slug = complete_task.step_slug
      and t.task_index = complete_task.task_index and t.status = 'started'
      and exists (
        select from pgflow.step_states s
        where s.run_id = complete_task.run_id and s.step_slug = complete_task.step_slug and s.status = 'started')
    returning t.* into task;
  end if;

  if task.run_id is null then
    perform pgflow._archive_late(complete_task.run_id, complete_task.step_slug, complete_task.task_index);
    return query select t.* from pgflow.step_tasks t
      where t.run_id = complete_task.run_id and t.step_slug = complete_task.step_slug and t.task_index = complete_task.task_index;
    return;
  end if;

  if is_single then
    update pgflow.step_states s
    set remaining_tasks = 0, status = 'completed', completed_at = greatest(clock, s.started_at), output = complete_task.output
    where s.run_id = task.run_id and s.step_slug = task.step_slug and s.status = 'started'
    returning s.* into state;
  else
    update pgflow.step_states s
    set remaining_tasks = s.remaining_tasks - 1
    where s.run_id = task.run_id and s.step_slug = task.step_slug
    returning s.* into state;
    -- A statement of its own, which sees the outputs of those that the last one waited for.
    if state.remaining_tasks = 0 and state.status = 'started' then
      update pgflow.step_states s
      set status = 'completed', completed_at = greatest(clock, s.started_at),
          output = (select jsonb_agg(t.output order by t.task_index)
                    from pgflow.step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug)
      where s.run_id = task.run_id and s.step_slug = task.step_slug
      returning s.* into state;
    end if;
  end if;
  if state.status = 'completed' then
    failed := pgflow._finish_one(state, has_dependents);
  end if;
  if failed is null then
    perform pgflow._archive(task.flow_slug, array[task.message_id]);
  else
    perform pgflow._archive_with_runs(task.flow_slug, array[task.message_id], failed);
  end if;
  return next task;
end
$$;

-- Completes tasks as complete_task would do one after the other: output i is that of task task_indexes[i] of step
-- step_slugs[i] of run run_ids[i]. Returns all of them as they are then, in the order given. Two things differ from single
-- calls: a refused output is dealt with before any task completes, and steps that become ready are started together at the
-- end. The first output counts for a task that is named twice.
create function pgflow.complete_tasks(run_ids uuid[], step_slugs text[], task_indexes integer[], outputs jsonb[])
returns setof pgflow.step_tasks
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
  clock    constant timestamptz := clock_timestamp();
  held     record;
  suspect  bigint[];
  place    bigint;
  task     pgflow.step_tasks;
  refused  pgflow.step_tasks[];
  changed  pgflow.step_tasks[];
  finished pgflow.step_states[];
  failed   uuid[];
begin
  if (cardinality(run_ids), cardinality(run_ids), cardinality(run_ids))
    is distinct from (cardinality(step_slugs), cardinality(task_indexes), cardinality(outputs)) then
    raise exception 'run_ids, step_slugs, task_indexes and outputs must have one length, not %, %, % and %',
      cardinality(run_ids), cardinality(step_slugs), cardinality(task_indexes), cardinality(outputs);
  end if;

  -- The tasks, each with the first output given for it. Not those that wait for a worker, which start_tasks would leave out.
  select array_agg(t.ctid) as places, array_agg(t.flow_slug) as flow_slugs, array_agg(g.run_id) as run_ids,
         array_agg(g.step_slug) as step_slugs, array_agg(g.output) as outputs
    into held
  from (
    select distinct on (g.run_id, g.step_slug, g.task_index) g.*
    from unnest(run_ids, step_slugs, task_indexes, outputs) with ordinality g (run_id, step_slug, task_index, output, place)
    order by g.run_id, g.step_slug, g.task_index, g.place
  ) g
  cross join lateral (
    select x.ctid, x.flow_slug from pgflow.step_tasks x
    where x.run_id = g.run_id and x.step_slug = g.step_slug and x.task_index = g.task_index and x.status <> 'queued'
    for no key update offset 0) t;

  -- Outputs that are no array, of single steps that a map waits for; most batches have no such step.
  if exists (
    select
    from (select distinct h.flow_slug, h.step_slug from unnest(held.flow_slugs, held.step_slugs) h (flow_slug, step_slug)) h
    cross join lateral (
      select x.step_slug from pgflow.steps x
      where x.flow_slug = h.flow_slug and x.step_slug = h.step_slug and x.step_type = 'single' offset 0) single
    cross join lateral (
      select x.step_slug from pgflow.deps x where x.flow_slug = h.flow_slug and x.dep_slug = single.step_slug offset 0) d
    cross join lateral (
      select x.step_slug from pgflow.steps x
      where x.flow_slug = h.flow_slug and x.step_slug = d.step_slug and x.step_type = 'map' offset 0) map
  ) then
    suspect := array(
      select g.place
      from (
        select distinct on (g.run_id, g.step_slug, g.task_index) g.*
        from unnest(run_ids, step_slugs, task_indexes, outputs) with ordinality g (run_id, step_slug, task_index, output, place)
        order by g.run_id, g.step_slug, g.task_index, g.place
      ) g
      cross join lateral (
        select x.flow_slug from pgflow.runs x where x.run_id = g.run_id and x.status = 'started' offset 0) r
      cross join lateral (
        select x.step_type from pgflow.steps x where x.flow_slug = r.flow_slug and x.step_slug = g.step_slug offset 0) step
      where jsonb_typeof(g.output) is distinct from 'array' and step.step_type = 'single'
      order by g.place);
  end if;
  if suspect <> '{}' then
    -- To refuse one takes its state and run, so all of the batch are taken first, in their order.
    perform s.run_id
    from (
      select distinct g.run_id, g.step_slug from unnest(run_ids, step_slugs) g (run_id, step_slug)
      order by g.run_id, g.step_slug) g
    cross join lateral (
      select x.run_id from pgflow.step_states x
      where x.run_id = g.run_id and x.step_slug = g.step_slug and x.status = 'started' for no key update offset 0) s;
    perform r.run_id
    from (select distinct g.run_id from unnest(run_ids) g (run_id) order by g.run_id) g
    cross join lateral (select x.run_id from pgflow.runs x where x.run_id = g.run_id for no key update offset 0) r;

    foreach place in array suspect loop
      task := pgflow._refuse_output(run_ids[place], step_slugs[place], task_indexes[place], outputs[place]);
      if task.run_id is not null then
        refused := refused || task;
      end if;
    end loop;
  end if;

  with completable as (
    select h.place, h.output
    from unnest(held.places, held.run_ids, held.step_slugs, held.outputs) h (place, run_id, step_slug, output)
    cross join lateral (
      select x.status from pgflow.step_states x where x.run_id = h.run_id and x.step_slug = h.step_slug offset 0) s
    cross join lateral (select x.status from pgflow.runs x where x.run_id = h.run_id offset 0) r
    where s.status = 'started' and r.status = 'started'
  ),
  done as (
    update pgflow.step_tasks t
    set status = 'completed', output = completable.output, completed_at = greatest(clock, t.started_at)
    from completable
    where t.ctid = completable.place and t.status = 'started'
    returning t as task
  )
  select array_agg(d.task) into changed from done d;

  if cardinality(changed) is distinct from cardinality(run_ids) then
    perform pgflow._archive_late(g.run_id, g.step_slug, g.task_index)
    from unnest(run_ids, step_slugs, task_indexes) g (run_id, step_slug, task_index);
  end if;

  if changed is not null then
    -- Two statements, so that the second sees what the first waited for: the outputs of tasks and the counters.
    perform s.run_id
    from (select distinct t.run_id, t.step_slug from unnest(changed) t order by t.run_id, t.step_slug) step
    cross join lateral (
      select x.run_id from pgflow.step_states x
      where x.run_id = step.run_id and x.step_slug = step.step_slug for no key update offset 0) s;

    with told as (
      update pgflow.step_states s
      set remaining_tasks = s.remaining_tasks - counted.tasks,
          status          = case when place.finishes then 'completed' else s.status end,
          completed_at    = case when place.finishes then greatest(clock, s.started_at) end,
          output          = case
            when place.finishes and place.step_type = 'map' then (
              select jsonb_agg(t.output order by t.task_index)
              from pgflow.step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug)
            when place.finishes then (
              select t.output
              from pgflow.step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug and t.task_index = 0) end
      from (
        select t.flow_slug, t.run_id, t.step_slug, count(*)::integer as tasks
        from unnest(changed) t group by t.flow_slug, t.run_id, t.step_slug
      ) counted
      cross join lateral (
        select x.ctid, x.status = 'started' and x.remaining_tasks = counted.tasks as finishes, step.step_type
        from pgflow.step_states x
        cross join lateral (
          select y.step_type from pgflow.steps y
          where y.flow_slug = counted.flow_slug and y.step_slug = counted.step_slug offset 0) step
        where x.run_id = counted.run_id and x.step_slug = counted.step_slug offset 0) place
      where s.ctid = place.ctid
      returning s as state
    )
    select array_agg(t.state) filter (where (t.state).status = 'completed') into finished from told t;
    if finished is not null then
      failed := pgflow._finish(finished);
    end if;
  end if;

  perform pgflow._archive_with_runs(
    t.flow_slug, array_agg(t.message_id), failed || array(select r.run_id from unnest(refused) r))
  from unnest(changed || refused) t group by t.flow_slug order by t.flow_slug;

  return query
  select t.*
  from unnest(run_ids, step_slugs, task_indexes) with ordinality g (run_id, step_slug, task_index, place)
  cross join lateral (
    select x.* from pgflow.step_tasks x
    where x.run_id = g.run_id and x.step_slug = g.step_slug and x.task_index = g.task_index offset 0) t
  order by g.place;
end
$$;


-- ─── Failing tasks ──────────────────────────────────────────────────────────────────────────────────────────────────

-- Fails an attempt at a started task and returns the task as it is then: queued again where attempts are left, else failed,
-- and then its step does what its `when_exhausted` says. Where the run has failed already, the task fails and no more.
create function pgflow.fail_task(run_id uuid, step_slug text, task_index integer, error_message text)
returns setof pgflow.step_tasks
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
  clock   constant timestamptz := clock_timestamp();
  task    pgflow.step_tasks;
  state   pgflow.step_states;
  run     pgflow.runs;
  step    pgflow.steps;
  flow    pgflow.flows;
  skipped pgflow.step_states[];
  ready   pgflow.step_states[];
  started pgflow.step_states[];
  failed  uuid[];
begin
  select t.* into task from pgflow.step_tasks t
  where t.run_id = fail_task.run_id and t.step_slug = fail_task.step_slug and t.task_index = fail_task.task_index
    and t.status <> 'queued'
  for no key update;
  if not found then
    -- One that waits for a worker is not held: start_tasks would leave it out.
    return query select t.* from pgflow.step_tasks t
      where t.run_id = fail_task.run_id and t.step_slug = fail_task.step_slug and t.task_index = fail_task.task_index;
    return;
  end if;
  select s.* into state from pgflow.step_states s where s.run_id = task.run_id and s.step_slug = task.step_slug
  for no key update;
  select r.* into run from pgflow.runs r where r.run_id = task.run_id for no key update;
  select s.* into step from pgflow.steps s where s.flow_slug = task.flow_slug and s.step_slug = task.step_slug;
  select f.* into flow from pgflow.flows f where f.flow_slug = task.flow_slug;

  if task.status <> 'started' or state.status <> 'started' and run.status <> 'failed' then
    perform pgflow._archive_late(task.run_id, task.step_slug, task.task_index);

  elsif run.status = 'started' and task.attempts_count < coalesce(step.opt_max_attempts, flow.opt_max_attempts)
    -- The recovery has archived its message: it had its attempts.
    and task.permanently_stalled_at is null
  then
    update pgflow.step_tasks t
    set status = 'queued', started_at = null, error_message = fail_task.error_message
    where t.run_id = task.run_id and t.step_slug = task.step_slug and t.task_index = task.task_index
    returning t.* into task;
    perform pgflow._delay(task.flow_slug, task.message_id,
      pgflow.calculate_retry_delay(coalesce(step.opt_base_delay, flow.opt_base_delay), task.attempts_count));

  else
    update pgflow.step_tasks t
    set status = 'failed', failed_at = greatest(clock, t.started_at), error_message = fail_task.error_message
    where t.run_id = task.run_id and t.step_slug = task.step_slug and t.task_index = task.task_index
    returning t.* into task;

    if run.status <> 'started' then
      perform pgflow._archive(task.flow_slug, array[task.message_id]);
    elsif step.when_exhausted = 'fail' then
      perform pgflow._fail_step(task.run_id, task.step_slug, task.error_message);
      perform pgflow._archive_with_runs(task.flow_slug, array[task.message_id], array[task.run_id]);
    else
      skipped := pgflow._skip(array[state], 'handler_failed', task.error_message, step.when_exhausted = 'skip-cascade');
      if step.when_exhausted = 'skip' then
        select r.ready, r.started into ready, started from pgflow._release(skipped, array[task.run_id]) r;
      end if;
      failed := pgflow._go_on(ready, started, array[task.run_id], array[cardinality(skipped)]);
      perform pgflow._archive_with_runs(task.flow_slug, array(
        select t.message_id from pgflow.step_tasks t
        where t.run_id = task.run_id and t.step_slug = task.step_slug
          and (t.status in ('queued', 'started') or t.message_id = task.message_id)), failed);
    end if;
  end if;
  return next task;
end
$$;


-- ─── Recovery ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- Queues tasks again whose worker has gone silent: started longer ago than their timeout and 30 seconds. Up to 3 times
-- each; after that the message is archived and the task marked. Rows that others hold are left for the next call. Returns
-- how many were queued.
create function pgflow.requeue_stalled_tasks() returns integer
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
  clock    constant timestamptz := clock_timestamp();
  stalled  pgflow.step_tasks[];
  over     pgflow.step_tasks[];
  requeued integer;
begin
  -- A timeout is a second at least, which lets the index leave out what has started just now.
  select array_agg(t.task) filter (where not t.is_over), array_agg(t.task) filter (where t.is_over) into stalled, over
  from (
    select held.task, s.status <> 'started' or r.status <> 'started' as is_over
    from (
      select t.run_id, t.step_slug, t.task_index, t.flow_slug, t.started_at
      from pgflow.step_tasks t
      where t.started_at < clock - interval '31 seconds' and t.started_at is not null
        and t.completed_at is null and t.failed_at is null and t.permanently_stalled_at is null
      offset 0
    ) old
    cross join lateral (
      select x.opt_timeout from pgflow.steps x where x.flow_slug = old.flow_slug and x.step_slug = old.step_slug offset 0) step
    cross join lateral (select x.opt_timeout from pgflow.flows x where x.flow_slug = old.flow_slug offset 0) flow
    cross join lateral (
      select x.status from pgflow.step_states x where x.run_id = old.run_id and x.step_slug = old.step_slug offset 0) s
    cross join lateral (select x.status from pgflow.runs x where x.run_id = old.run_id offset 0) r
    cross join lateral (
      select x as task from pgflow.step_tasks x
      where x.run_id = old.run_id and x.step_slug = old.step_slug and x.task_index = old.task_index
        and x.status = 'started' and x.started_at = old.started_at
      for no key update skip locked offset 0) held
    where old.started_at < clock - make_interval(secs => coalesce(step.opt_timeout, flow.opt_timeout)) - interval '30 seconds'
  ) t;

  update pgflow.step_tasks t
  set status           = case when t.requeued_count < 3 then 'queued' else t.status end,
      started_at       = case when t.requeued_count < 3 then null else t.started_at end,
      last_requeued_at = case when t.requeued_count < 3 then clock else t.last_requeued_at end,
      requeued_count   = least(t.requeued_count + 1, 3),
      permanently_stalled_at = case when t.requeued_count < 3 then null else clock end
  from unnest(stalled) x
  cross join lateral (
    select y.ctid from pgflow.step_tasks y
    where y.run_id = x.run_id and y.step_slug = x.step_slug and y.task_index = x.task_index offset 0) place
  where t.ctid = place.ctid;

  -- Nobody will finish the tasks of a step or run that is over: marked, so that the next call need not look at them.
  update pgflow.step_tasks t
  set permanently_stalled_at = clock
  from unnest(over) x
  cross join lateral (
    select y.ctid from pgflow.step_tasks y
    where y.run_id = x.run_id and y.step_slug = x.step_slug and y.task_index = x.task_index offset 0) place
  where t.ctid = place.ctid;

  -- Archived first: that may wait for messages that others hold, and must hold none that is higher.
  perform pgflow._archive(x.flow_slug, array_agg(x.message_id))
  from unnest(stalled) x where x.requeued_count >= 3 group by x.flow_slug order by x.flow_slug;
  perform pgflow._hide(x.flow_slug, array_agg(x.message_id), array_agg(0))
  from unnest(stalled) x where x.requeued_count < 3 group by x.flow_slug order by x.flow_slug;

  select count(*)::integer into requeued from unnest(stalled) x where x.requeued_count < 3;
  return requeued;
end
$$;


-- ─── Workers ────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Notes a function that keeps workers alive.
create function pgflow.track_worker_function(function_name text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into pgflow.worker_functions as f (function_name, updated_at)
  values (track_worker_function.function_name, clock_timestamp())
  on conflict on constraint worker_functions_pkey do update set updated_at = clock_timestamp()
$$;

-- Notes that a worker has ended.
create function pgflow.mark_worker_stopped(worker_id uuid) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update pgflow.workers w set stopped_at = clock_timestamp() where w.worker_id = mark_worker_stopped.worker_id
$$;

-- What workers of levels before 0.7 called: gives them nothing, and says so.
create function pgflow.poll_for_tasks(
  queue_name text, vt integer, qty integer, max_poll_seconds integer default 5, poll_interval_ms integer default 100
) returns setof pgflow.step_task_record
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise notice 'poll_for_tasks is deprecated and returns nothing: read messages with pgmq.read_with_poll and call start_tasks, or call poll_tasks';
end
$$;


-- ─── Search paths ───────────────────────────────────────────────────────────────────────────────────────────────────

-- An empty search_path still has pg_temp, and has it first for the names of types: a caller could put a type of its own
-- there, with a check that runs with the rights of a function's owner. So it is named, and last, here and in part 1.
do $do$
declare
  function regprocedure;
begin
  for function in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where array_to_string(p.proconfig, ' ') like '%search_path=""%'
      and (p.pronamespace = 'pgflow'::regnamespace
        or p.oid = to_regprocedure('realtime.send(jsonb, text, text, boolean)') and p.prosrc like '%pgflow_events%')
  loop
    execute format('alter function %s set search_path = pg_catalog, pg_temp', function);
  end loop;
end
$do$;


-- ─── Rights ─────────────────────────────────────────────────────────────────────────────────────────────────────────

revoke execute on all functions in schema pgflow from public;
