-- Returns whether the relation can have row triggers, which system tables cannot. No row if the table does not exist.
select c.relkind in ('r', 'p', 'f') and n.nspname <> 'pg_catalog' as can_have_trigger
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relname = (parse_ident({{ table|literal }}))[2]::name
  and n.nspname = (parse_ident({{ table|literal }}))[1]::name
