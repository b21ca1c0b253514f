{#- Fields: `trusts_installer`, whether a role that neither is a superuser nor owns the database also trusts the owner of the
    installed schemas, who granted it its privileges. -#}
-- Returns the schemas, functions, relations and types on which flowsmith relies and which belong to a role that the current
-- role has no reason to trust: not a superuser, not the owner of the database, and not a role of which the current role is
-- a member. Whoever owns a function can replace it, and then runs code as every role that calls it. If a schema is listed,
-- its objects are not.

with recursive
membership as (
  select r.oid from pg_catalog.pg_roles r where r.rolname = current_user
  union
  select m.roleid from pg_catalog.pg_auth_members m join membership on membership.oid = m.member
),
trusted as (
  select membership.oid from membership
  union
  select r.oid from pg_catalog.pg_roles r where r.rolsuper or r.rolname = 'pg_database_owner'
  union
  select d.datdba from pg_catalog.pg_database d where d.datname = current_database()
{%- if trusts_installer %}
  union
  select n.nspowner from pg_catalog.pg_namespace n
  where n.nspname in ('pgflow', 'flowsmith')
    and not exists (select from pg_catalog.pg_roles r where r.rolname = current_user and r.rolsuper)
    and not exists (
      select from membership join pg_catalog.pg_database d on d.datdba = membership.oid where d.datname = current_database())
{%- endif %}
),
space as (
  select n.oid, n.nspname, n.nspowner from pg_catalog.pg_namespace n
  where n.nspname in ('pgflow', 'flowsmith', 'flowsmith_triggers', 'pgmq', 'realtime')
),
owned as (
  select 1 as rank, space.nspname, format('schema %I', space.nspname) as object, space.nspowner as owner from space
  union all
  select 2, space.nspname, format('function %I.%I(%s)', space.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), p.proowner
  from space join pg_catalog.pg_proc p on p.pronamespace = space.oid
  where space.nspname in ('pgflow', 'flowsmith', 'pgmq') or space.nspname = 'realtime' and p.proname = 'send'
  union all
  -- Queues may belong to anyone, but a view would run the code of its owner.
  select 3, space.nspname, format('%s %I.%I', case c.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end,
    space.nspname, c.relname), c.relowner
  from space join pg_catalog.pg_class c on c.relnamespace = space.oid
  where c.relkind not in ('i', 'I', 't', 'c')
    and (space.nspname in ('pgflow', 'flowsmith') or space.nspname = 'pgmq' and (c.relname !~ '^[qa]_' or c.relkind not in ('r', 'p', 'S')))
  union all
  select 4, space.nspname, format('type %I.%I', space.nspname, t.typname), t.typowner
  from space join pg_catalog.pg_type t on t.typnamespace = space.oid
  left join pg_catalog.pg_class c on c.oid = t.typrelid
  where space.nspname in ('pgflow', 'flowsmith', 'pgmq') and t.typelem = 0 and (t.typrelid = 0 or c.relkind = 'c')
)
select owned.object, pg_get_userbyid(owned.owner)::text as owner
from owned
where owned.owner not in (select trusted.oid from trusted)
  and (owned.rank = 1 or not exists (
    select from space
    where space.nspname = owned.nspname and space.nspowner not in (select trusted.oid from trusted)))
order by owned.rank, owned.object
