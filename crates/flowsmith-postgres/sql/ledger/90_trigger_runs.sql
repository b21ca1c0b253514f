-- --- Runs started by triggers -----------------------------------------------------------------------------------------

-- Returns the definition of an active trigger. Raises an error if there is none of this kind.
create or replace function flowsmith.active_trigger(flow text, name text, kind text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  definition constant jsonb := (
    select t.definition from flowsmith.active_triggers(array[active_trigger.flow]) t
    where t.name = active_trigger.name and t.kind = active_trigger.kind);
begin
  if definition is null then
    raise exception 'flowsmith: flow % has no active trigger % of kind %', flow, name, kind
      using errcode = 'FL002', hint = 'The current version of the flow does not declare it: it was removed from the flow file, or the flow is retired.';
  end if;
  return definition;
end
$$;

-- Takes a lock that workers share, until the transaction ends. Returns false if another transaction holds it. The lock of a
-- PgQ consumer has the consumer's name; `schedules` is the lock of the session that starts scheduled runs.
create or replace function flowsmith.try_worker_lock(name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from flowsmith.worker_locks l where l.name = try_worker_lock.name for update skip locked;
  if not found and not exists (select from flowsmith.worker_locks l where l.name = try_worker_lock.name) then
    raise exception 'flowsmith: there is no lock %', name
      using errcode = 'FL002', hint = 'The trigger was removed from the flow file, or the flow is retired.';
  end if;
  return found;
end
$$;

-- Starts the run of a schedule with the recorded input, and returns its id. With a planned time, which workers pass, it
-- starts one run for each time and returns null if that time has had its run. pg_cron passes none.
create or replace function flowsmith.fire_schedule(flow text, name text, planned_at timestamptz default null)
returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  definition constant jsonb := flowsmith.active_trigger(flow, name, 'cron');
  started_run uuid;
begin
  if planned_at is not null then
    insert into flowsmith.firings (flow, name, planned_at)
    values (fire_schedule.flow, fire_schedule.name, fire_schedule.planned_at)
    on conflict on constraint firings_pkey do nothing;
    if not found then
      return null;
    end if;
  end if;
  started_run := (
    select run.run_id from flowsmith.start_flow(fire_schedule.flow, definition #> '{source,cron,input}') run);
  update flowsmith.firings f set run_id = started_run
  where f.flow = fire_schedule.flow and f.name = fire_schedule.name and f.planned_at = fire_schedule.planned_at;
  return started_run;
end
$$;

-- Starts the run of a table trigger, and returns its id.
create or replace function flowsmith.fire_table_trigger(flow text, name text, input jsonb) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform flowsmith.active_trigger(flow, name, 'table');
  return (select run.run_id from flowsmith.start_flow(fire_table_trigger.flow, fire_table_trigger.input) run);
end
$$;

-- Records in flowsmith.events that a table trigger could not start a run.
create or replace function flowsmith.record_trigger_failure(flow text, name text, table_id oid, state text, error text)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform flowsmith.active_trigger(flow, name, 'table');
  insert into flowsmith.events (kind, detail)
  values ('trigger-failed', jsonb_build_object(
    'flow', flow, 'trigger', name, 'table', (
      select format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = table_id),
    'sqlstate', state, 'error', error));
end
$$;

-- Returns the data of an event: JSON if it is valid JSON, else a JSON string.
create or replace function flowsmith.event_data(data text) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return data::jsonb;
exception when data_exception then
  return to_jsonb(data);
end
$$;

-- Returns the inputs of the runs that queue events start, for events that have not been consumed. An input expression runs
-- in the trigger's function, with the privileges of the role that declared it.
create or replace function flowsmith.event_inputs(
  flow text, name text, queue text, ids bigint[], times text[], types text[], data text[])
returns table (event_id bigint, input text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  definition constant jsonb := flowsmith.active_trigger(flow, name, 'queue');
  expression text := 'event.data';
begin
  if flowsmith.input_expression(definition) is not null then
    if not exists (
      select from flowsmith.actual_trigger_functions(array[event_inputs.flow]) actual
      where actual.name = event_inputs.name and actual.is_unmodified
        and pg_get_userbyid(actual.owner) = actual.expected_owner) then
      raise exception 'flowsmith: the function of trigger % of flow % is missing, was modified or has another owner', name, flow
        using errcode = 'FL002', hint = 'Run `flowsmith compile --from-live` to write the migration that restores it, and apply it.';
    end if;
    expression := format('flowsmith_triggers.%I(event.id, event.time, event.type, event.data)', flowsmith.trigger_name(flow, name));
  end if;
  return query execute format($query$
    select event.id, (%s)::text
    from (
      select given.id, given.time::timestamptz as time, given.type, flowsmith.event_data(given.data) as data
      from unnest($1, $2, $3, $4) with ordinality as given (id, time, type, data, position)
      where not exists (
        select from flowsmith.consumed_events consumed
        where consumed.flow = $5 and consumed.name = $6 and consumed.queue = $7 and consumed.event_id = given.id)
      order by given.position
    ) as event$query$, expression)
    using ids, times, types, data, flow, name, queue;
end
$$;

-- Starts the run of a queue event, and returns its id, or null if the event was consumed before. `queue` identifies the
-- queue, also among queues that had the same name at different times. Must be called in the transaction that deletes the
-- event from its queue, or before: the row in consumed_events proves that the run was started.
create or replace function flowsmith.consume_event(
  flow text, name text, queue text, event_id bigint, batch_id bigint, input jsonb) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  started_run uuid;
begin
  perform flowsmith.active_trigger(flow, name, 'queue');
  insert into flowsmith.consumed_events (flow, name, queue, event_id, batch_id)
  values (consume_event.flow, consume_event.name, consume_event.queue, consume_event.event_id, consume_event.batch_id)
  on conflict on constraint consumed_events_pkey do nothing;
  if not found then
    return null;
  end if;
  started_run := (select run.run_id from flowsmith.start_flow(consume_event.flow, consume_event.input) run);
  update flowsmith.consumed_events e set run_id = started_run
  where e.flow = consume_event.flow and e.name = consume_event.name and e.queue = consume_event.queue
    and e.event_id = consume_event.event_id;
  return started_run;
end
$$;

-- Discards a queue event that could not start a run after the last attempt, and records that in flowsmith.events.
create or replace function flowsmith.discard_event(
  flow text, name text, queue text, event_id bigint, batch_id bigint, data jsonb, error text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform flowsmith.active_trigger(flow, name, 'queue');
  insert into flowsmith.consumed_events (flow, name, queue, event_id, batch_id)
  values (discard_event.flow, discard_event.name, discard_event.queue, discard_event.event_id, discard_event.batch_id)
  on conflict on constraint consumed_events_pkey do nothing;
  if found then
    insert into flowsmith.events (kind, detail)
    values ('trigger-failed', jsonb_build_object(
      'flow', flow, 'trigger', name, 'queue', queue, 'event', event_id, 'data', data, 'error', error));
  end if;
end
$$;

-- Deletes firings that are older than 30 days, except the newest of each schedule: it marks up to which time firings have
-- been processed.
create or replace function flowsmith.prune_firings() returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from flowsmith.firings firing
  where firing.planned_at < now() - interval '30 days'
    and exists (
      select from flowsmith.firings newer
      where newer.flow = firing.flow and newer.name = firing.name and newer.planned_at > firing.planned_at)
$$;

-- Deletes a batch of the records of events that were consumed more than 30 days ago: their PgQ batches are finished and
-- their messages archived. The batch is limited to keep the statement short.
create or replace function flowsmith.prune_consumed_events() returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  delete from flowsmith.consumed_events consumed
  where consumed.ctid = any (array(
    select old.ctid from flowsmith.consumed_events old where old.consumed_at < now() - interval '30 days' limit 100000))
$$;

-- Workers take this lock to start scheduled runs.
insert into flowsmith.worker_locks (name) values ('schedules') on conflict do nothing;
