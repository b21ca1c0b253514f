{#- Whether events go to the channel pgflow_events, and whether they are switched off. Looked up by name,
    since a role need not have the right on the schema. -#}
select
  exists (
    select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'realtime' and p.proname = 'send' and p.prosrc like '%pgflow_events%'
  ) as notifies,
  coalesce(current_setting('pgflow.events', true) = 'off', false) as is_off
