-- Refuses, as PostgreSQL would, a role that may not delete flows by a migration.
do $$
declare
  lacking text;
begin
  select string_agg(p.oid::pg_catalog.regprocedure::text, ', ') into lacking
  from pg_catalog.pg_proc p
  where p.pronamespace = 'flowsmith'::pg_catalog.regnamespace and p.proname in ('begin_migration', 'drop_flow', 'end_migration')
    and not pg_catalog.has_function_privilege(p.oid, 'execute');
  if lacking is not null then
    raise exception 'permission denied for %', lacking using errcode = 'insufficient_privilege';
  end if;
end
$$
