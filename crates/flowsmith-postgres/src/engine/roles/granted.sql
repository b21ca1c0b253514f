-- What the three roles may do in this database, one row a right: prefix, role, privilege, object; and the queue tables on
-- which a worker lacks a right, with privilege LACKING.
--
-- The prefixes are those with whose roles somebody ran `install --grants` here, told by the right on schema pgflow. On
-- what is not flowsmith's own (pgmq, realtime), what PUBLIC has counts too.

with
member as (
  select r.oid, r.rolname, regexp_replace(r.rolname, '_(deployer|worker|client)$', '') as prefix,
         substring(r.rolname from '_(deployer|worker|client)$') as role
  from pg_catalog.pg_roles r
  where r.rolname ~ '_(deployer|worker|client)$'
),
prefix as (
  select distinct m.prefix
  from member m
  join pg_catalog.pg_namespace n on n.nspname = 'pgflow'
  cross join lateral aclexplode(n.nspacl) a
  where a.grantee = m.oid and a.privilege_type = 'USAGE'
),
granted as (
  select a.grantee, n.nspname as schema, a.privilege_type as privilege, format('schema %I', n.nspname) as object
  from pg_catalog.pg_namespace n
  cross join lateral aclexplode(n.nspacl) a
  where n.nspname in ('pgflow', 'flowsmith', 'flowsmith_triggers', 'pgmq', 'realtime')
  union all
  select a.grantee, n.nspname, a.privilege_type, format('table %I.%I', n.nspname, c.relname)
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral aclexplode(c.relacl) a
  where n.nspname in ('pgflow', 'flowsmith') or n.nspname = 'pgmq' and c.relname = 'meta'
  union all
  select a.grantee, n.nspname, format('%s (%I)', a.privilege_type, t.attname), format('table %I.%I', n.nspname, c.relname)
  from pg_catalog.pg_attribute t
  join pg_catalog.pg_class c on c.oid = t.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral aclexplode(t.attacl) a
  where n.nspname in ('pgflow', 'flowsmith')
  union all
  select a.grantee, n.nspname, a.privilege_type, format('function %I.%I', n.nspname, p.proname)
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  where n.nspname in ('pgflow', 'flowsmith') or n.nspname = 'realtime' and p.proname = 'send'
)
select p.prefix, m.role, g.privilege, g.object
from prefix p
join member m using (prefix)
join granted g on g.grantee = m.oid or g.grantee = 0 and g.schema in ('pgmq', 'realtime')
union
select p.prefix, m.role, 'LACKING', format('table pgmq.%I', c.relname)
from prefix p
join member m using (prefix)
join pgflow.flows f on m.role = 'worker'
cross join (values ('q_', array['SELECT', 'INSERT', 'UPDATE', 'DELETE']), ('a_', array['SELECT', 'INSERT'])) as k (kind, privileges)
join pg_catalog.pg_class c on c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = 'pgmq') and c.relname = k.kind || lower(f.flow_slug)
where exists (select from unnest(k.privileges) needed where not has_table_privilege(m.oid, c.oid, needed))
order by 1, 2, 4, 3
