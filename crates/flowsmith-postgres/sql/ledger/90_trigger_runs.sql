-- --- Runs started by triggers -----------------------------------------------------------------------------------------

-- Returns the definition of a registered trigger. Raises an error if there is none of this kind.
create or replace function flowsmith.registered_trigger(flow text, name text, kind text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  definition constant jsonb := (
    select t.definition from flowsmith.triggers t
    where t.flow = registered_trigger.flow and t.name = registered_trigger.name and t.kind = registered_trigger.kind);
begin
  if definition is null then
    raise exception 'flowsmith: flow % has no registered trigger % of kind %', flow, name, kind
      using errcode = 'FL002', hint = 'The trigger was removed from the flow file, or the flow is retired.';
  end if;
  return definition;
end
$$;

-- Starts the run of a schedule with the recorded input, and returns its id. With a planned time, which workers pass, it
-- starts one run for each time and returns null if that time has had its run. pg_cron passes none.
create or replace function flowsmith.fire_schedule(flow text, name text, planned_at timestamptz default null)
returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  definition constant jsonb := flowsmith.registered_trigger(flow, name, 'cron');
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
  perform flowsmith.registered_trigger(flow, name, 'table');
  return (select run.run_id from flowsmith.start_flow(fire_table_trigger.flow, fire_table_trigger.input) run);
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
  perform flowsmith.registered_trigger(flow, name, 'queue');
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

-- Returns the data of an event: JSON if it is valid JSON, else a JSON string.
create or replace function flowsmith.event_data(data text) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return data::jsonb;
exception when data_exception then
  return to_jsonb(data);
end
$$;

-- Discards a queue event that could not start a run after the last attempt, and records that in flowsmith.events.
create or replace function flowsmith.discard_event(
  flow text, name text, queue text, event_id bigint, batch_id bigint, data jsonb, error text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform flowsmith.registered_trigger(flow, name, 'queue');
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

