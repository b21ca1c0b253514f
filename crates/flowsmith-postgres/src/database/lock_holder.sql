-- Who holds the advisory lock $1 in this database, if anyone still does.
select a.pid, coalesce(a.usename, '') as "user", coalesce(a.application_name, '') as application,
  coalesce(host(a.client_addr), 'local') as address,
  to_char(a.xact_start at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
  and (l.classid::bigint << 32) | l.objid::bigint = $1
limit 1
