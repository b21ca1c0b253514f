-- Messages
-- ========
--
-- Each queue is a table, so statements on it are dynamic. PostgreSQL would parse and plan a dynamic statement on each
-- call, which takes three times as long as executing it. Each session therefore prepares these statements, once for
-- each queue. If a statement is not prepared, or no longer (`discard all`), its execution fails and the caller prepares
-- it.
--
-- Prepared statements belong to the session, whose user could have prepared another statement under the name. A function
-- that runs with its owner's privileges therefore compares the text of the statement with the expected one before it
-- executes it, and executes the text itself if they differ. The text qualifies all names, operators and types, so it
-- means the same whatever search_path it was prepared with.

-- Returns the text of a statement on a queue. The arguments are SQL: literals, or $1, $2 and so on to prepare the
-- statement. The columns are those that this version of pgmq has: 1.5 added headers, and a later version last_read_at.
-- `unnest` with several arguments is syntax, not a name.
create function pgflow._queue_statement(purpose text, queue_name text, variadic arguments text[]) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  queue   constant text := format('pgmq.%I', 'q_' || lower(queue_name));
  archive constant text := format('pgmq.%I', 'a_' || lower(queue_name));
  columns text;
begin
  case purpose
  -- Arguments: message ids. Moves the messages to the archive, in the order of an index scan.
  when 'archive' then
    select string_agg(format('%I', queued.attname), ', ' order by queued.attnum) into columns
    from pg_attribute queued
    join pg_attribute archived on archived.attname = queued.attname
    where queued.attrelid = queue::regclass and queued.attnum > 0 and not queued.attisdropped
      and archived.attrelid = archive::regclass and archived.attnum > 0 and not archived.attisdropped;
    return format(
      'with deleted as (delete from %1$s message '
      '  where message.msg_id operator(pg_catalog.=) any (%4$s::pg_catalog.int8[]) returning %3$s) '
      'insert into %2$s (%3$s) select %3$s from deleted', queue, archive, columns, arguments[1]);
  -- Arguments: message ids, and for each the seconds until it becomes visible. Skips messages that other sessions have
  -- locked: those are being archived, or their visibility is being set.
  when 'set_vts' then
    return format(
      'update %1$s message '
      'set vt = pg_catalog.clock_timestamp() operator(pg_catalog.+) pg_catalog.make_interval(secs => unlocked.vt_offset) '
      'from (select candidate.ctid, given.vt_offset '
      '  from (select distinct on (argument.id) argument.id, argument.vt_offset '
      '    from unnest(%2$s::pg_catalog.int8[], %3$s::pg_catalog.int4[]) with ordinality argument (id, vt_offset, place) '
      '    order by argument.id, argument.place) given '
      '  cross join lateral (select candidate.ctid from %1$s candidate '
      '    where candidate.msg_id operator(pg_catalog.=) given.id for update skip locked offset 0) candidate) unlocked '
      'where message.ctid operator(pg_catalog.=) unlocked.ctid', queue, arguments[1], arguments[2]);
  -- Arguments: a message id, and the seconds until it becomes visible. Waits for sessions that have locked the message.
  when 'set_vt' then
    return format(
      'update %s message '
      'set vt = pg_catalog.clock_timestamp() operator(pg_catalog.+) pg_catalog.make_interval(secs => %s::pg_catalog.int4) '
      'where message.msg_id operator(pg_catalog.=) %s::pg_catalog.int8', queue, arguments[2], arguments[1]);
  -- Arguments: the flow; run ids, step slugs and task indexes; the seconds until the messages become visible. Creates a
  -- task and its message for each triple, in their order.
  when 'enqueue' then
    return format(
      'with sent as (insert into %1$s (vt, message) '
      '  select pg_catalog.clock_timestamp() operator(pg_catalog.+) pg_catalog.make_interval(secs => %6$s::pg_catalog.int4), '
      '    pg_catalog.jsonb_build_object(''flow_slug'', %2$s::pg_catalog.text, ''run_id'', task.run_id, '
      '      ''step_slug'', task.step_slug, ''task_index'', task.task_index) '
      '  from unnest(%3$s::pg_catalog.uuid[], %4$s::pg_catalog.text[], %5$s::pg_catalog.int4[]) '
      '    with ordinality task (run_id, step_slug, task_index, place) '
      '  order by task.place returning msg_id) '
      'insert into pgflow.step_tasks (flow_slug, run_id, step_slug, task_index, message_id, queued_at) '
      'select %2$s::pg_catalog.text, task.run_id, task.step_slug, task.task_index, task.message_id, pg_catalog.clock_timestamp() '
      'from unnest(%3$s::pg_catalog.uuid[], %4$s::pg_catalog.text[], %5$s::pg_catalog.int4[], '
      '  array(select sent.msg_id from sent order by sent.msg_id)) task (run_id, step_slug, task_index, message_id)',
      queue, arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  -- Arguments: the seconds for which to hide the messages, and how many to read. Reads as pgmq.read does.
  when 'read' then
    select coalesce(max(', last_read_at = pg_catalog.clock_timestamp()'), '') into columns
    from pg_attribute queued
    where queued.attrelid = queue::regclass and queued.attname = 'last_read_at' and not queued.attisdropped;
    return format(
      'with visible as (select message.msg_id from %1$s message '
      '  where message.vt operator(pg_catalog.<=) pg_catalog.clock_timestamp() '
      '  order by message.msg_id limit %4$s::pg_catalog.int4 for update skip locked), '
      'hidden as (update %1$s message '
      '  set vt = pg_catalog.clock_timestamp() operator(pg_catalog.+) pg_catalog.make_interval(secs => %3$s::pg_catalog.int4), '
      '  read_ct = message.read_ct operator(pg_catalog.+) 1%2$s '
      '  from visible where message.msg_id operator(pg_catalog.=) visible.msg_id returning message.msg_id) '
      'select pg_catalog.array_agg(hidden.msg_id) from hidden', queue, columns, arguments[1], arguments[2]);
  end case;
end
$$;

-- Returns the SQL that prepares a statement on a queue. The name of a prepared statement can have 63 characters and the
-- name of a queue 47, so the name of a purpose can have at most 8.
create function pgflow._queue_statement_preparation(purpose text, queue_name text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format('prepare %I (%s) as %s',
    'pgflow_' || purpose || '_' || lower(queue_name),
    case purpose
      when 'archive' then 'pg_catalog.int8[]'
      when 'set_vts' then 'pg_catalog.int8[], pg_catalog.int4[]'
      when 'set_vt'  then 'pg_catalog.int8, pg_catalog.int4'
      when 'enqueue' then 'pg_catalog.text, pg_catalog.uuid[], pg_catalog.text[], pg_catalog.int4[], pg_catalog.int4'
      when 'read'    then 'pg_catalog.int4, pg_catalog.int4'
    end,
    pgflow._queue_statement(purpose, queue_name, '$1', '$2', '$3', '$4', '$5'));
end
$$;

-- Returns the SQL that executes a statement on a queue: the prepared statement, or its text if the session's user has
-- prepared another statement under the name.
create function pgflow._queue_statement_call(purpose text, queue_name text, variadic arguments text[]) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  statement_name constant text := 'pgflow_' || purpose || '_' || lower(queue_name);
  preparation    text;
  prepared       text;
begin
  if current_user <> session_user then
    preparation := pgflow._queue_statement_preparation(purpose, queue_name);
    select statement.statement into prepared from pg_prepared_statements statement where statement.name = statement_name;
    if prepared is null then
      perform pgflow._prepare_queue_statement(purpose, queue_name);
    elsif prepared <> preparation then
      return pgflow._queue_statement(purpose, queue_name, variadic arguments);
    end if;
  end if;
  return format('execute %I(%s)', statement_name, array_to_string(arguments, ', '));
end
$$;

-- Prepares a statement on a queue in this session.
create function pgflow._prepare_queue_statement(purpose text, queue_name text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute pgflow._queue_statement_preparation(purpose, queue_name);
end
$$;

-- Makes each message visible after its number of seconds; skips messages that other sessions have locked.
create function pgflow._set_vt_skip_locked(queue_name text, msg_ids bigint[], vt_offsets integer[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call constant text := pgflow._queue_statement_call(
    'set_vts', queue_name, quote_literal(msg_ids), quote_literal(vt_offsets));
begin
  execute call;
exception when invalid_sql_statement_name then
  perform pgflow._prepare_queue_statement('set_vts', queue_name);
  execute call;
end
$$;

-- Makes a message visible after a number of seconds; waits if another session has locked it.
create function pgflow._set_vt(queue_name text, msg_id bigint, vt_offset integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call constant text := pgflow._queue_statement_call('set_vt', queue_name, quote_literal(msg_id), quote_literal(vt_offset));
begin
  execute call;
exception when invalid_sql_statement_name then
  perform pgflow._prepare_queue_statement('set_vt', queue_name);
  execute call;
end
$$;

-- Archives messages, in the order of their ids.
create function pgflow._archive_messages(queue_name text, msg_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call constant text := pgflow._queue_statement_call('archive', queue_name, quote_literal(msg_ids));
begin
  execute call;
exception when invalid_sql_statement_name then
  perform pgflow._prepare_queue_statement('archive', queue_name);
  execute call;
end
$$;

-- Creates tasks of one flow with their messages, in the given order. The messages become visible after a number of
-- seconds.
create function pgflow._enqueue_tasks(
  flow_slug text, run_ids uuid[], step_slugs text[], task_indexes integer[], start_delay integer
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call constant text := pgflow._queue_statement_call(
    'enqueue', flow_slug, quote_literal(flow_slug), quote_literal(run_ids), quote_literal(step_slugs),
    quote_literal(task_indexes), quote_literal(start_delay));
begin
  execute call;
exception when invalid_sql_statement_name then
  perform pgflow._prepare_queue_statement('enqueue', flow_slug);
  execute call;
end
$$;

-- Hides the next visible messages for a number of seconds and returns their ids; null if there are none.
create function pgflow._read_messages(queue_name text, hidden_for integer, qty integer) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call    constant text := pgflow._queue_statement_call('read', queue_name, quote_literal(hidden_for), quote_literal(qty));
  msg_ids bigint[];
begin
  execute call into msg_ids;
  return msg_ids;
exception when invalid_sql_statement_name then
  perform pgflow._prepare_queue_statement('read', queue_name);
  execute call into msg_ids;
  return msg_ids;
end
$$;

-- Hides messages of a paused flow until resume_flow makes them visible; skips messages that other sessions have locked.
create function pgflow._park_messages(queue_name text, msg_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format(
    $query$
      update pgmq.%1$I message set vt = 'infinity'
      from (
        select candidate.ctid from pgmq.%1$I candidate where candidate.msg_id = any ($1) for update skip locked
      ) unlocked
      where message.ctid = unlocked.ctid
    $query$, 'q_' || lower(queue_name)
  ) using msg_ids;
end
$$;

-- Deletes the messages of runs from the queue of a flow and its archive. Does nothing if the queue does not exist or is
-- not the flow's own. The messages must name one of the runs: a queue that was created again reuses the ids.
create function pgflow._delete_messages(queue_name text, msg_ids bigint[], run_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if cardinality(msg_ids) > 0 and pgflow._owns_queue(queue_name) then
    execute format(
      'delete from pgmq.%I message where message.msg_id = any ($1) and message.message ->> ''run_id'' = any ($2)',
      'a_' || lower(queue_name)) using msg_ids, run_ids::text[];
    execute format(
      'delete from pgmq.%I message where message.msg_id = any ($1) and message.message ->> ''run_id'' = any ($2)',
      'q_' || lower(queue_name)) using msg_ids, run_ids::text[];
  end if;
end
$$;

-- Makes each message visible after its number of seconds, for workers, and returns the messages. Skips messages that
-- other sessions have locked. headers is read as JSON because pgmq has the column only since 1.5; before, it is null.
-- Runs with its owner's privileges, and serves its other callers only queues of flows.
create function pgflow.set_vt_batch(queue_name text, msg_ids bigint[], vt_offsets integer[])
returns table (msg_id bigint, read_ct integer, enqueued_at timestamptz, vt timestamptz, message jsonb, headers jsonb)
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
  if msg_ids is null or vt_offsets is null or cardinality(msg_ids) = 0 or cardinality(vt_offsets) = 0 then
    return;
  end if;
  if cardinality(msg_ids) <> cardinality(vt_offsets) then
    raise exception 'msg_ids length (%) must equal vt_offsets length (%)', cardinality(msg_ids), cardinality(vt_offsets);
  end if;
  if current_user <> session_user
    and not exists (select from pgflow.flows flow where lower(flow.flow_slug) = lower(set_vt_batch.queue_name)) then
    raise exception 'there is no flow with the queue "%"', set_vt_batch.queue_name
      using errcode = 'undefined_table', hint = 'Call pgmq.set_vt for queues that do not belong to a flow.';
  end if;
  perform pgflow._set_vt_skip_locked(queue_name, msg_ids, vt_offsets);
  return query execute format(
    $query$
      select queued.msg_id, queued.read_ct, queued.enqueued_at, queued.vt, queued.message,
             nullif(to_jsonb(queued) -> 'headers', 'null')
      from (
        select argument.msg_id, min(argument.place) as place
        from unnest($1) with ordinality argument (msg_id, place) group by argument.msg_id
      ) given
      join pgmq.%I queued using (msg_id)
      order by given.place
    $query$, 'q_' || lower(queue_name)
  ) using msg_ids;
end
$$;


