{#- Returns whether events are sent as notifications on the channel pgflow_events, and whether they are switched off. Reads the
    catalog by name, because a role need not have privileges on the schema realtime. -#}
select
  exists (
    select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'realtime' and p.proname = 'send' and p.prosrc like '%pgflow_events%'
  ) as notifies,
  coalesce(current_setting('pgflow.events', true) = 'off', false) as is_off
