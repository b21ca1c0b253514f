-- Raises the error that PostgreSQL would raise later if this role lacks the privileges to apply a migration that deletes
-- flows.
do $$
declare
  denied text;
begin
  select string_agg(p.oid::pg_catalog.regprocedure::text, ', ') into denied
  from pg_catalog.pg_proc p
  where p.pronamespace = 'flowsmith'::pg_catalog.regnamespace and p.proname in ('begin_migration', 'drop_flows', 'end_migration')
    and not pg_catalog.has_function_privilege(p.oid, 'execute');
  if denied is not null then
    raise exception 'permission denied for %', denied using errcode = 'insufficient_privilege';
  end if;
end
$$
