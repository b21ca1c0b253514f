-- Inputs are not held against the schema that a flow's file declares: PostgreSQL has no JSON Schema. `check` does it for those that
-- are written in the file, workers for events of queues.

-- ─── Starting runs ──────────────────────────────────────────────────────────────────────────────────────────────────

-- The definition of a trigger in force; raises where it is not.
create or replace function flowsmith.trigger_in_force(flow text, name text, kind text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  definition constant jsonb := (
    select t.definition from flowsmith.triggers t
    where t.flow = trigger_in_force.flow and t.name = trigger_in_force.name and t.kind = trigger_in_force.kind);
begin
  if definition is null then
    raise exception 'flowsmith: flow % has no trigger % of kind % in force', flow, name, kind
      using errcode = 'FL002', hint = 'It was taken out of the flow file, or the flow is retired.';
  end if;
  return definition;
end
$$;

-- Starts the run of a schedule, with the input that is recorded. With a planned time only once; null where that was
-- started already. pg_cron calls it without.
create or replace function flowsmith.fire_schedule(flow text, name text, planned_at timestamptz default null) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  definition constant jsonb := flowsmith.trigger_in_force(flow, name, 'cron');
  started uuid;
begin
  if planned_at is not null then
    insert into flowsmith.firings (flow, name, planned_at) values (fire_schedule.flow, fire_schedule.name, fire_schedule.planned_at)
    on conflict on constraint firings_pkey do nothing;
    if not found then
      return null;
    end if;
  end if;
  started := (select r.run_id from flowsmith.start_flow(fire_schedule.flow, definition #> '{source,cron,input}') r);
  update flowsmith.firings f set run_id = started
  where f.flow = fire_schedule.flow and f.name = fire_schedule.name and f.planned_at = fire_schedule.planned_at;
  return started;
end
$$;

-- Starts the run of a table trigger.
create or replace function flowsmith.fire_row(flow text, name text, input jsonb) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform flowsmith.trigger_in_force(flow, name, 'table');
  return (select r.run_id from flowsmith.start_flow(fire_row.flow, fire_row.input) r);
end
$$;

-- Starts the run of an event of a queue, once; null where that was done already. `queue` tells this queue from every other,
-- also from one that had its name before. To be called in the transaction that
-- takes the event from its queue, or before it: the row here tells that the run is started.
create or replace function flowsmith.take_event(flow text, name text, queue text, event_id bigint, batch_id bigint, input jsonb) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  started uuid;
begin
  perform flowsmith.trigger_in_force(flow, name, 'queue');
  insert into flowsmith.taken (flow, name, queue, event_id, batch_id)
  values (take_event.flow, take_event.name, take_event.queue, take_event.event_id, take_event.batch_id)
  on conflict on constraint taken_pkey do nothing;
  if not found then
    return null;
  end if;
  started := (select r.run_id from flowsmith.start_flow(take_event.flow, take_event.input) r);
  update flowsmith.taken t set run_id = started
  where t.flow = take_event.flow and t.name = take_event.name and t.queue = take_event.queue and t.event_id = take_event.event_id;
  return started;
end
$$;

-- What an event carries: JSON where it is JSON, else the text.
create or replace function flowsmith.event_data(data text) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return data::jsonb;
exception when data_exception then
  return to_jsonb(data);
end
$$;

-- Records that an event of a queue starts no run, however often it is tried.
create or replace function flowsmith.give_up_event(flow text, name text, queue text, event_id bigint, batch_id bigint, data jsonb, error text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform flowsmith.trigger_in_force(flow, name, 'queue');
  insert into flowsmith.taken (flow, name, queue, event_id, batch_id)
  values (give_up_event.flow, give_up_event.name, give_up_event.queue, give_up_event.event_id, give_up_event.batch_id)
  on conflict on constraint taken_pkey do nothing;
  if found then
    insert into flowsmith.events (kind, detail)
    values ('trigger-failed', jsonb_build_object('flow', flow, 'trigger', name, 'queue', queue, 'event', event_id, 'data', data, 'error', error));
  end if;
end
$$;

-- An official engine may have another owner.
do $$
begin
  if pg_catalog.to_regclass('flowsmith.engine') is not null then
    alter function flowsmith.fire_schedule(text, text, timestamptz) security definer;
    alter function flowsmith.fire_row(text, text, jsonb) security definer;
    alter function flowsmith.take_event(text, text, text, bigint, bigint, jsonb) security definer;
    alter function flowsmith.give_up_event(text, text, text, bigint, bigint, jsonb, text) security definer;
  end if;
end
$$;

revoke all on all functions in schema flowsmith from public;
