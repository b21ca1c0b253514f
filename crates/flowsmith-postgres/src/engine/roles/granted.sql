-- Returns the privileges that roles of flowsmith have in this database, one row each; and the tables of the flows' queues,
-- with their columns and without a role.
--
-- Roles count if `install --grants` was run for their prefix in this database, that is, if one of them has USAGE on the
-- schema pgflow. For pgmq, whose owner may grant privileges to PUBLIC, these are included.

with
candidate as (
  select r.oid, r.rolname, regexp_replace(r.rolname, '_(deployer|worker|client|operator)$', '') as prefix,
         substring(r.rolname from '_(deployer|worker|client|operator)$') as role
  from pg_catalog.pg_roles r
  where r.rolname ~ '_(deployer|worker|client|operator)$'
),
prefix as (
  select distinct candidate.prefix
  from candidate
  join pg_catalog.pg_namespace n on n.nspname = 'pgflow'
  cross join lateral aclexplode(n.nspacl) privilege
  where privilege.grantee = candidate.oid and privilege.privilege_type = 'USAGE'
),
queue_table as (
  select c.oid
  from pgflow.flows f
  cross join (values ('q_'), ('a_')) as kind (prefix)
  join pg_catalog.pg_class c
    on c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = 'pgmq')
    and c.relname = kind.prefix || lower(f.flow_slug)
),
relation as (
  select c.oid, c.relacl, n.nspname as schema, case c.relkind when 'S' then 'sequence' else 'table' end || format(' %I.%I', n.nspname, c.relname) as object
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('pgflow', 'flowsmith') or n.nspname = 'pgmq' and c.relname = 'meta'
    or c.oid in (select queue_table.oid from queue_table)
),
granted as (
  select privilege.grantee, n.nspname as schema, privilege.privilege_type as privilege, format('schema %I', n.nspname) as object
  from pg_catalog.pg_namespace n
  cross join lateral aclexplode(n.nspacl) privilege
  where n.nspname in ('pgflow', 'flowsmith', 'flowsmith_triggers', 'pgmq')
  union all
  select privilege.grantee, relation.schema, privilege.privilege_type, relation.object
  from relation
  cross join lateral aclexplode(relation.relacl) privilege
  union all
  select privilege.grantee, relation.schema, format('%s (%I)', privilege.privilege_type, a.attname), relation.object
  from pg_catalog.pg_attribute a
  join relation on relation.oid = a.attrelid
  cross join lateral aclexplode(a.attacl) privilege
  union all
  select privilege.grantee, n.nspname, privilege.privilege_type, format('function %I.%I', n.nspname, p.proname)
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) privilege
  where n.nspname in ('pgflow', 'flowsmith')
)
select prefix.prefix, role.role, granted.privilege, granted.object, null::text[] as columns
from prefix
join candidate role using (prefix)
join granted on granted.grantee = role.oid or granted.grantee = 0 and granted.schema = 'pgmq'
union
select null, null, null, relation.object,
       array(select a.attname::text from pg_catalog.pg_attribute a where a.attrelid = relation.oid and a.attnum > 0 and not a.attisdropped)
from queue_table
join relation using (oid)
order by prefix, role, object, privilege
