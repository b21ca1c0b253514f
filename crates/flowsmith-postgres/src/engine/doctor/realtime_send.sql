-- Returns the body of realtime.send. Does not call it.
select p.prosrc as body
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'realtime' and p.proname = 'send'
  and oidvectortypes(p.proargtypes) = 'jsonb, text, text, boolean'
