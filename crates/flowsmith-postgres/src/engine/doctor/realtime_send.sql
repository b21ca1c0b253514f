-- Returns the body of realtime.send. Does not call it.
select p.prosrc as body
from pg_catalog.pg_proc p
where p.oid = to_regprocedure('realtime.send(jsonb, text, text, boolean)')
