{#- The roles and their privileges. `roles`: each with its name, its privileges on flowsmith's own objects, from
    src/engine/roles/rights.txt, and whether it reads pgmq. `queue_rights`: privileges on the tables of queues. Missing
    privileges on pgmq are granted at the end. -#}
-- flowsmith {{ tool_version }}: privileges of the roles {% for role in roles %}{{ role.name | comment }}{% if not loop.last %}, {% endif %}{% endfor %}.
--
-- These roles cannot log in. Grant them to roles that can: `grant {{ roles[1].name | identifier | comment }} to alice`.
--
-- Run the script in one transaction, after the install script, as the role that installed flowsmith. Run it again after
-- each upgrade: it revokes all privileges of the roles and grants those that this version needs.

{% include "begin_script.sql" %}
do {{ tag }}
begin
{% include "check_script.sql" %}
declare
  missing constant text[] := array(
    select required.name from unnest(array[{% for role in roles %}{{ role.name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}]) with ordinality as required (name, position)
    where not exists (select from pg_catalog.pg_roles r where r.rolname = required.name)
    order by required.position);
  can_create_roles constant boolean := (select r.rolsuper or r.rolcreaterole from pg_catalog.pg_roles r where r.rolname = current_user);
  role_name text;
begin
  if to_regclass('flowsmith.engine') is null then
    raise exception 'flowsmith: this database does not have flowsmith''s own engine, for which the roles are made'
      using errcode = 'FL002', hint = 'Grant privileges on an official engine as its documentation describes.';
  end if;
  if missing <> '{}' and not can_create_roles then
    raise exception 'the role % cannot create roles, and these roles do not exist: %', quote_ident(current_user), array_to_string(missing, ', ')
      using errcode = 'insufficient_privilege',
        hint = format('Let a role with CREATEROLE run `%s`, then run this again.',
          (select string_agg(format('create role %I', name), '; ') from unnest(missing) as missing_role (name)));
  end if;
  foreach role_name in array missing loop
    begin
      execute format('create role %I nologin', role_name);
    exception when duplicate_object or unique_violation then
      -- Created at the same time by an install in another database of this server.
      null;
    end;
  end loop;
end;
end
{{ tag }};

-- --- flowsmith's own objects: exactly these privileges --------------------------------------------------------------
{% for role in roles %}
revoke all on all tables in schema pgflow, flowsmith from {{ role.name | identifier }};
revoke all on all sequences in schema pgflow, flowsmith from {{ role.name | identifier }};
revoke all on all functions in schema pgflow, flowsmith from {{ role.name | identifier }};
revoke all on schema pgflow, flowsmith, flowsmith_triggers from {{ role.name | identifier }};
{%- for right in role.rights %}
grant {{ right.privilege }} on {{ right.object }} to {{ role.name | identifier }};
{%- endfor %}
{% endfor %}
-- --- pgmq and the queues of flows: a queue that exists already gets exactly these privileges ------------------------

do {{ tag }}
begin
{% include "check_script.sql" %}
declare
  role_name text;
  queue     record;
  needed    record;
  failed    text[] := '{}';
begin
  foreach role_name in array array[{% for role in roles if role.reads_pgmq %}{{ role.name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}]::text[] loop
    if not has_schema_privilege(role_name, 'pgmq', 'usage') then
      execute format('grant usage on schema pgmq to %I', role_name);
    end if;
    if not has_table_privilege(role_name, 'pgmq.meta', 'select') then
      execute format('grant select on table pgmq.meta to %I', role_name);
    end if;
    -- Without the privilege to grant, PostgreSQL raises an error for some grants but only a warning for others.
    if not (has_schema_privilege(role_name, 'pgmq', 'usage') and has_table_privilege(role_name, 'pgmq.meta', 'select')) then
      failed := failed || format('usage of pgmq to %I', role_name);
    end if;
  end loop;
  if failed <> '{}' then
    raise exception 'the role % cannot grant these privileges: %', quote_ident(current_user), array_to_string(failed, ', ')
      using errcode = 'insufficient_privilege', hint = 'Let the owner of these schemas run this script, which `flowsmith install --grants --print` prints.';
  end if;

  for queue in
    select c.oid, kind.prefix, format('pgmq.%I', c.relname) as name, pg_get_userbyid(c.relowner) as owner
    from pgflow.flows f
    join pgmq.meta on meta.queue_name = f.flow_slug
    cross join (values ('q_'), ('a_')) as kind (prefix)
    join pg_catalog.pg_class c on c.relnamespace = 'pgmq'::regnamespace and c.relname = kind.prefix || lower(f.flow_slug)
  loop
    if not pg_has_role(current_user, queue.owner, 'usage') then
      failed := failed || format('%s (owned by %s)', queue.name, queue.owner);
      continue;
    end if;
    foreach role_name in array array[{% for role in roles %}{{ role.name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}] loop
      execute format('revoke all on table %s from %I', queue.name, role_name);
    end loop;
    for needed in
      select required.privilege || case when required.col is not null then format(' (%I)', required.col) else '' end as privilege, required.role
      from (values
{%- for right in queue_rights %}
        ({{ right.role | literal }}, {{ right.table_prefix | literal }}, {{ right.privilege | literal }}, {% if right.column is none %}null::text{% else %}{{ right.column | literal }}{% endif %}){% if not loop.last %},{% endif %}
{%- endfor %}
      ) as required (role, prefix, privilege, col)
      where required.prefix = queue.prefix and (required.col is null or exists (
        select from pg_catalog.pg_attribute a
        where a.attrelid = queue.oid and a.attname = required.col and not a.attisdropped))
    loop
      execute format('grant %s on table %s to %I', needed.privilege, queue.name, needed.role);
    end loop;
  end loop;
  if failed <> '{}' then
    raise exception 'the role % cannot grant privileges on these queues: %', quote_ident(current_user), array_to_string(failed, ', ')
      using errcode = 'insufficient_privilege',
        hint = format('Let an administrator change their owner (`alter table ... owner to %I`), or run this as a superuser.', current_user);
  end if;
end;
end
{{ tag }};

{% include "end_script.sql" %}