-- Events
-- ======

-- If the database has no realtime.send (Supabase has one), creates a function that sends events as notifications on
-- channel pgflow_events. A function that an earlier install created is replaced.
--
-- PostgreSQL rejects notifications of 8000 bytes or more, and an event must never abort the transaction that raises it.
-- An event that is too large is therefore sent without input and output, and if it is still too large, with only its
-- identifiers, its status and the beginning of the error message.
do $do$
begin
  if exists (
    select from pg_catalog.pg_proc function
    where function.oid = to_regprocedure('realtime.send(jsonb, text, text, boolean)')
      and function.prosrc not like '%pgflow_events%'
  ) then
    return;
  end if;
  if to_regnamespace('realtime') is null then
    create schema realtime;
  end if;

  create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
  as $$
  declare
    short        jsonb;
    notification text;
  begin
    if current_setting('pgflow.events', true) = 'off' then
      return;
    end if;
    notification := jsonb_build_object('event', event, 'topic', topic, 'payload', payload, 'timestamp', clock_timestamp());
    if octet_length(notification) >= 8000 then
      short := payload - 'input' - 'output' || '{"truncated": true}';
      notification := jsonb_build_object('event', event, 'topic', topic, 'payload', short, 'timestamp', clock_timestamp());
    end if;
    if octet_length(notification) >= 8000 then
      short := jsonb_strip_nulls(jsonb_build_object(
        'event_type', short -> 'event_type', 'run_id', short -> 'run_id', 'flow_slug', short -> 'flow_slug',
        'step_slug', short -> 'step_slug', 'status', short -> 'status',
        'error_message', left(short ->> 'error_message', 500), 'truncated', true));
      notification := jsonb_build_object('event', event, 'topic', topic, 'payload', short, 'timestamp', clock_timestamp());
    end if;
    perform pg_notify('pgflow_events', notification);
  end
  $$;
  revoke execute on function realtime.send(jsonb, text, text, boolean) from public;
end
$do$;


-- Events of runs
-- --------------

-- Sends run:started.
create function pgflow._send_run_started(run pgflow.runs) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._events_enabled() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'run:started', 'run_id', run.run_id, 'flow_slug', run.flow_slug, 'input', run.input,
        'status', run.status, 'remaining_steps', run.remaining_steps, 'started_at', run.started_at),
      'run:started', 'pgflow:run:' || run.run_id, false);
  end if;
end
$$;

-- Sends run:completed.
create function pgflow._send_run_completed(run pgflow.runs) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._events_enabled() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'run:completed', 'run_id', run.run_id, 'flow_slug', run.flow_slug, 'status', run.status,
        'output', run.output, 'completed_at', run.completed_at),
      'run:completed', 'pgflow:run:' || run.run_id, false);
  end if;
end
$$;

-- Sends run:failed, with additional keys in its payload.
create function pgflow._send_run_failed(run pgflow.runs, additional jsonb default '{}') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._events_enabled() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'run:failed', 'run_id', run.run_id, 'flow_slug', run.flow_slug, 'status', run.status,
        'failed_at', run.failed_at) || additional,
      'run:failed', 'pgflow:run:' || run.run_id, false);
  end if;
end
$$;


-- Events of steps
-- ---------------

-- Sends step:started for each of these states, by slug.
create function pgflow._send_steps_started(states pgflow.step_states[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._events_enabled() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'step:started', 'run_id', state.run_id, 'step_slug', state.step_slug, 'status', state.status,
        'started_at', state.started_at, 'remaining_tasks', state.remaining_tasks, 'remaining_deps', state.remaining_deps),
      'step:' || state.step_slug || ':started', 'pgflow:run:' || state.run_id, false)
    from (select state.* from unnest(states) state order by state.run_id, state.step_slug) state;
  end if;
end
$$;

-- Sends step:completed for a step whose tasks have completed.
create function pgflow._send_step_completed(state pgflow.step_states) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._events_enabled() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'step:completed', 'run_id', state.run_id, 'step_slug', state.step_slug, 'status', state.status,
        'output', state.output, 'completed_at', state.completed_at),
      'step:' || state.step_slug || ':completed', 'pgflow:run:' || state.run_id, false);
  end if;
end
$$;

-- Sends step:completed for each of these states, which have completed without tasks.
create function pgflow._send_taskless_steps_completed(states pgflow.step_states[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._events_enabled() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'step:completed', 'run_id', state.run_id, 'step_slug', state.step_slug, 'status', state.status,
        'output', state.output, 'started_at', state.started_at, 'completed_at', state.completed_at,
        'remaining_tasks', 0, 'remaining_deps', 0),
      'step:' || state.step_slug || ':completed', 'pgflow:run:' || state.run_id, false)
    from unnest(states) state;
  end if;
end
$$;

-- Sends step:skipped for each of these states.
create function pgflow._send_steps_skipped(states pgflow.step_states[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._events_enabled() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'step:skipped', 'run_id', state.run_id, 'step_slug', state.step_slug, 'status', state.status,
        'skip_reason', state.skip_reason, 'skipped_at', state.skipped_at)
      || case when state.skip_reason = 'handler_failed' then jsonb_build_object('error_message', state.error_message)
              else jsonb_build_object('flow_slug', state.flow_slug) end,
      'step:' || state.step_slug || ':skipped', 'pgflow:run:' || state.run_id, false)
    from unnest(states) state;
  end if;
end
$$;

-- Sends step:failed.
create function pgflow._send_step_failed(state pgflow.step_states) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._events_enabled() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'step:failed', 'run_id', state.run_id, 'step_slug', state.step_slug, 'status', state.status,
        'error_message', state.error_message, 'failed_at', state.failed_at),
      'step:' || state.step_slug || ':failed', 'pgflow:run:' || state.run_id, false);
  end if;
end
$$;


