-- Returns the features of the engine on which a worker depends: missing functions, optional functions and columns, and why
-- events are not sent as notifications, if they are not.
select
  array_to_string(array(
    select required.function from unnest(array[
      'pgflow.start_tasks(text,bigint[],uuid)',
      'pgflow.complete_task(uuid,text,integer,jsonb)',
      'pgflow.fail_task(uuid,text,integer,text)',
      'pgflow.set_vt_batch(text,bigint[],integer[])',
      'pgmq.read(text,integer,integer,jsonb)'
    ]) as required (function)
    where to_regprocedure(required.function) is null
      -- Before pgmq 1.5, pgmq.read has no parameter for a condition.
      and (required.function not like 'pgmq.%' or to_regprocedure('pgmq.read(text,integer,integer)') is null)
  ), ', ') as missing_functions,
  to_regprocedure('pgflow.poll_tasks(text,uuid,integer)') is not null
    and to_regprocedure('pgflow.complete_tasks(uuid[],text[],integer[],jsonb[])') is not null as has_batches,
  to_regprocedure('pgflow.requeue_stalled_tasks()') is not null as has_recovery,
  exists (
    select from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.typrelid = a.attrelid
    where t.oid = to_regtype('pgflow.step_task_record') and a.attname = 'flow_input' and not a.attisdropped
  ) as has_flow_input,
  exists (
    select from pg_catalog.pg_attribute a
    where a.attrelid = to_regclass('pgflow.workers') and a.attname = 'stopped_at' and not a.attisdropped
  ) as has_stopped_at,
  coalesce((
    select case
      when p.prosrc not like '%pgflow_events%' then 'this database does not send events as notifications'
      when p.prosrc like '%pgflow.events%' and current_setting('pgflow.events', true) = 'off'
        then 'events are disabled in this database (pgflow.events = off)'
      else '' end
    from pg_catalog.pg_proc p
    -- By name, because a worker needs no privilege on the schema.
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'realtime' and p.proname = 'send' and oidvectortypes(p.proargtypes) = 'jsonb, text, text, boolean'
  ), 'the engine of this database sends no events') as no_notifications_reason
