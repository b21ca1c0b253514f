-- Returns the features of the engine on which a benchmark depends: missing functions for each protocol, and whether events
-- are sent as notifications; also a prefix for the flows of this benchmark, and flows that other benchmarks left.
select
  array(
    select required.function from unnest(array[
      'pgflow.start_flow(text,jsonb,uuid)',
      'pgflow.start_tasks(text,bigint[],uuid)',
      'pgflow.complete_task(uuid,text,integer,jsonb)'
    ]) as required (function)
    where to_regprocedure(required.function) is null
  ) as runtime_lacks,
  array(
    select required.function from unnest(array[
      'pgflow.poll_tasks(text,uuid,integer)',
      'pgflow.complete_tasks(uuid[],text[],integer[],jsonb[])'
    ]) as required (function)
    where to_regprocedure(required.function) is null
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
