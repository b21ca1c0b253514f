-- ─── Messages ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- A queue is a table of its own, so statements on it are dynamic, and PostgreSQL would parse and plan them anew for each call,
-- which takes three times as long as running them. So a session prepares the few that every task needs, once a queue. One
-- that has not, or has forgotten them (discard all), finds out by the error, and prepares them.
--
-- Only where the caller's own rights are at work: whoever calls a function that runs with its owner's rights may have
-- prepared something else under that name. There, the statement runs as it is.

-- The statement for a purpose, on these arguments: values as SQL, or $1, $2 and so on to prepare it. Columns are what this pgmq has:
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
  -- Tasks with a message each, in the order given, visible so many seconds from now.
  when 'queue' then
    return format(
      'with sent as (insert into %1$s (vt, message) '
      '  select clock_timestamp() + make_interval(secs => %6$s::integer), jsonb_build_object('
      '    ''flow_slug'', %2$s::text, ''run_id'', g.run_id, ''step_slug'', g.step_slug, ''task_index'', g.task_index) '
      '  from unnest(%3$s::uuid[], %4$s::text[], %5$s::integer[]) with ordinality g (run_id, step_slug, task_index, place) '
      '  order by g.place returning msg_id) '
      'insert into pgflow.step_tasks (flow_slug, run_id, step_slug, task_index, message_id, queued_at) '
      'select %2$s::text, g.run_id, g.step_slug, g.task_index, g.message_id, clock_timestamp() '
      'from rows from (unnest(%3$s::uuid[]), unnest(%4$s::text[]), unnest(%5$s::integer[]), '
      '  unnest(array(select s.msg_id from sent s order by s.msg_id))) g (run_id, step_slug, task_index, message_id)',
      queue, arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
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
    'pgflow_' || purpose || '_' || lower(queue_name), pgflow._queue_sql(purpose, queue_name, '$1', '$2', '$3', '$4', '$5'));
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

-- Queues tasks of one flow, in the order given, with messages that are visible after so many seconds.
create function pgflow._queue(flow_slug text, run_ids uuid[], step_slugs text[], task_indexes integer[], delay integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  call constant text := pgflow._queue_call(
    'queue', flow_slug, quote_literal(flow_slug), quote_literal(run_ids), quote_literal(step_slugs), quote_literal(task_indexes),
    quote_literal(delay));
begin
  execute call;
exception when invalid_sql_statement_name then
  perform pgflow._prepare('queue', flow_slug);
  execute call;
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


