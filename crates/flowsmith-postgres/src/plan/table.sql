-- What `when` and `input_sql` of a trigger on a table see, as flowsmith.create_table_trigger has it; and whether it is
-- something that can have a trigger for each row, which tables of the system cannot. No row where there is no such table.
select
  format(
    '(select (null::%1$s).*) as new, (select (null::%1$s).*) as old, (select null::pg_catalog.text) as operation (tg_op)',
    format('%I.%I', n.nspname, c.relname)),
  c.relkind in ('r', 'p', 'f') and n.nspname <> 'pg_catalog'
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relname = (parse_ident({{ table|literal }}))[2]::name
  and n.nspname = (parse_ident({{ table|literal }}))[1]::name
