{#- Returns the session that holds the lock, and since when its transaction runs. No row if the lock has been released
    meanwhile. -#}
{% if ledger -%}
select holder.pid, holder.role, holder.application_name, holder.address, holder.transaction_start
from flowsmith.lock_holder() holder
{%- else -%}
select session.pid, coalesce(session.usename, '') as role, coalesce(session.application_name, '') as application_name,
  coalesce(pg_catalog.host(session.client_addr), 'local') as address,
  pg_catalog.to_char(session.xact_start at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as transaction_start
from pg_catalog.pg_locks lock join pg_catalog.pg_stat_activity session using (pid)
where lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1
  and lock.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
  and (lock.classid::bigint << 32) | lock.objid::bigint = {{ key }}
limit 1
{%- endif %}
