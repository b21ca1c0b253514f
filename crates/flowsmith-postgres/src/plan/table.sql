-- Returns the FROM clause that provides the expressions of a trigger on a table with their rows, as
-- flowsmith.expression_rows does, and whether the relation can have row triggers, which system tables cannot. No row if
-- the table does not exist.
select
  format(
    '(select (null::%1$s).*) as new, (select (null::%1$s).*) as old, (select null::pg_catalog.text) as operation (tg_op)',
    format('%I.%I', n.nspname, c.relname)) as rows,
  c.relkind in ('r', 'p', 'f') and n.nspname <> 'pg_catalog' as can_have_trigger
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relname = (parse_ident({{ table|literal }}))[2]::name
  and n.nspname = (parse_ident({{ table|literal }}))[1]::name
