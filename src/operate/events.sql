{#- Whether events go to the channel pgflow_events, whether they are switched off, and a channel of one's own. -#}
select
  exists (
    select from pg_catalog.pg_proc p
    where p.oid = to_regprocedure('realtime.send(jsonb,text,text,boolean)') and p.prosrc like '%pgflow_events%'
  ) as notifies,
  coalesce(current_setting('pgflow.events', true) = 'off', false) as is_off,
  'flowsmith_probe_' || replace(gen_random_uuid()::text, '-', '') as probe
