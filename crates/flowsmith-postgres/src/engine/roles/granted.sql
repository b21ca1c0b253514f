-- Returns the privileges of the three roles in this database, one row each; and, with is_granted = false and without a
-- privilege, the queue tables on which a worker lacks some.
--
-- Roles count if `install --grants` was run for their prefix in this database, that is, if one of them has USAGE on the
-- schema pgflow. For objects that are not flowsmith's own (pgmq, realtime), privileges of PUBLIC are included.

with
candidate as (
  select r.oid, r.rolname, regexp_replace(r.rolname, '_(deployer|worker|client)$', '') as prefix,
         substring(r.rolname from '_(deployer|worker|client)$') as role
  from pg_catalog.pg_roles r
  where r.rolname ~ '_(deployer|worker|client)$'
),
prefix as (
  select distinct candidate.prefix
  from candidate
  join pg_catalog.pg_namespace n on n.nspname = 'pgflow'
  cross join lateral aclexplode(n.nspacl) privilege
  where privilege.grantee = candidate.oid and privilege.privilege_type = 'USAGE'
),
granted as (
  select privilege.grantee, n.nspname as schema, privilege.privilege_type as privilege, format('schema %I', n.nspname) as object
  from pg_catalog.pg_namespace n
  cross join lateral aclexplode(n.nspacl) privilege
  where n.nspname in ('pgflow', 'flowsmith', 'flowsmith_triggers', 'pgmq', 'realtime')
  union all
  select privilege.grantee, n.nspname, privilege.privilege_type, format('table %I.%I', n.nspname, c.relname)
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral aclexplode(c.relacl) privilege
  where n.nspname in ('pgflow', 'flowsmith') or n.nspname = 'pgmq' and c.relname = 'meta'
  union all
  select privilege.grantee, n.nspname, format('%s (%I)', privilege.privilege_type, a.attname), format('table %I.%I', n.nspname, c.relname)
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_class c on c.oid = a.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral aclexplode(a.attacl) privilege
  where n.nspname in ('pgflow', 'flowsmith')
  union all
  select privilege.grantee, n.nspname, privilege.privilege_type, format('function %I.%I', n.nspname, p.proname)
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) privilege
  where n.nspname in ('pgflow', 'flowsmith') or n.nspname = 'realtime' and p.proname = 'send'
)
select prefix.prefix, role.role, granted.privilege, granted.object, true as is_granted
from prefix
join candidate role using (prefix)
join granted on granted.grantee = role.oid or granted.grantee = 0 and granted.schema in ('pgmq', 'realtime')
union
select prefix.prefix, role.role, null, format('table pgmq.%I', c.relname), false
from prefix
join candidate role using (prefix)
join pgflow.flows f on role.role = 'worker'
cross join (values
  ('q_', array['SELECT', 'INSERT', 'UPDATE', 'DELETE']), ('a_', array['SELECT', 'INSERT'])) as kind (prefix, privileges)
join pg_catalog.pg_class c
  on c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = 'pgmq')
  and c.relname = kind.prefix || lower(f.flow_slug)
where exists (select from unnest(kind.privileges) needed where not has_table_privilege(role.oid, c.oid, needed))
order by prefix, role, object, privilege
