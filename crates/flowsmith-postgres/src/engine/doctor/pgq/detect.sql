-- Returns whether PgQ is installed, its version, and the privileges of this role; no row without the schema pgq. Reads the
-- catalog only, which needs no privileges on PgQ.
select
  exists (
    select from pg_catalog.pg_proc p
    where p.pronamespace = n.oid and p.proname = 'ticker' and oidvectortypes(p.proargtypes) = 'text') as is_there,
  has_schema_privilege(n.oid, 'usage') as may_look,
  coalesce((select pg_has_role(current_user, r.oid, 'usage') from pg_catalog.pg_roles r where r.rolname = 'pgq_admin'), false) as is_admin,
  pg_is_in_recovery() as is_read_only,
  (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pgq') as version,
  (select a.default_version::text from pg_catalog.pg_available_extensions a where a.name = 'pgq') as newest
from pg_catalog.pg_namespace n
where n.nspname = 'pgq'
