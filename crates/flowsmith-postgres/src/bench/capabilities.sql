-- What the engine here has that a bench needs: functions it lacks, one list for each protocol; whether events go out as
-- notifications; a name for this bench, and flows of other benches.
select
  array(
    select f from unnest(array[
      'pgflow.start_flow(text,jsonb,uuid)',
      'pgflow.start_tasks(text,bigint[],uuid)',
      'pgflow.complete_task(uuid,text,integer,jsonb)'
    ]) f
    where to_regprocedure(f) is null
  ) as runtime_lacks,
  array(
    select f from unnest(array[
      'pgflow.poll_tasks(text,uuid,integer)',
      'pgflow.complete_tasks(uuid[],text[],integer[],jsonb[])'
    ]) f
    where to_regprocedure(f) is null
  ) as batch_lacks,
  to_regprocedure('pgflow.delete_flow_and_data(text)') is not null as deletes_flows,
  exists (
    select from pg_catalog.pg_proc p
    where p.oid = to_regprocedure('realtime.send(jsonb,text,text,boolean)') and p.prosrc like '%pgflow_events%'
      and not (p.prosrc like '%pgflow.events%' and coalesce(current_setting('pgflow.events', true) = 'off', false))
  ) as notifies,
  'flowsmith_bench_' || left(md5(gen_random_uuid()::text), 8) as prefix,
  array(select f.flow_slug from pgflow.flows f where starts_with(f.flow_slug, 'flowsmith_bench_') order by f.flow_slug) as others,
  pg_backend_pid() as backend
