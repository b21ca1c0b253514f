{#- The three roles and their privileges. `roles`: each with its name and its privileges on flowsmith's own objects, from
    src/engine/roles/rights.txt. Missing privileges on pgmq and on Supabase's realtime are granted at the end. -#}
-- flowsmith {{ tool_version }}: privileges of the roles {% for role in roles %}{{ role.name | comment }}{% if not loop.last %}, {% endif %}{% endfor %}.
--
-- These roles cannot log in. Grant them to roles that can: `grant {{ worker | identifier | comment }} to alice`.
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
revoke all on all functions in schema pgflow, flowsmith from {{ role.name | identifier }};
revoke all on schema pgflow, flowsmith, flowsmith_triggers from {{ role.name | identifier }};
{%- for right in role.rights %}
grant {{ right.privilege }} on {{ right.object }} to {{ role.name | identifier }};
{%- endfor %}
{% endfor %}
-- --- pgmq, realtime and existing queues: missing privileges ---------------------------------------------------------

do {{ tag }}
begin
{% include "check_script.sql" %}
declare
  deployer constant text := {{ deployer | literal }};
  worker   constant text := {{ worker | literal }};
  role_name text;
  queue     record;
  failed    text[] := '{}';
begin
  foreach role_name in array array[deployer, worker] loop
    if not has_schema_privilege(role_name, 'pgmq', 'usage') then
      execute format('grant usage on schema pgmq to %I', role_name);
    end if;
    if not has_table_privilege(role_name, 'pgmq.meta', 'select') then
      execute format('grant select on table pgmq.meta to %I', role_name);
    end if;
  end loop;
  if not has_schema_privilege(worker, 'realtime', 'usage') then
    execute format('grant usage on schema realtime to %I', worker);
  end if;
  if not has_function_privilege(worker, 'realtime.send(jsonb, text, text, boolean)', 'execute') then
    execute format('grant execute on function realtime.send(jsonb, text, text, boolean) to %I', worker);
  end if;

  for queue in
    select c.oid, format('pgmq.%I', c.relname) as name, pg_get_userbyid(c.relowner) as owner, kind.privileges
    from pgflow.flows f
    join pgmq.meta on meta.queue_name = f.flow_slug
    cross join (values ('q_', 'select, insert, update, delete'), ('a_', 'select, insert')) as kind (prefix, privileges)
    join pg_catalog.pg_class c on c.relnamespace = 'pgmq'::regnamespace and c.relname = kind.prefix || lower(f.flow_slug)
  loop
    -- Checked before granting, and again below: without the privilege, PostgreSQL raises an error for some grants but only
    -- a warning for others.
    if pg_has_role(current_user, queue.owner, 'usage') then
      execute format('grant %s on table %s to %I', queue.privileges, queue.name, worker);
    else
      failed := failed || format('%s (owned by %s)', queue.name, queue.owner);
    end if;
  end loop;
  if failed <> '{}' then
    raise exception 'the role % cannot grant privileges on these queues: %', quote_ident(current_user), array_to_string(failed, ', ')
      using errcode = 'insufficient_privilege',
        hint = format('Let an administrator change their owner (`alter table ... owner to %I`), or run this as a superuser.', current_user);
  end if;
  foreach role_name in array array[deployer, worker] loop
    if not (has_schema_privilege(role_name, 'pgmq', 'usage') and has_table_privilege(role_name, 'pgmq.meta', 'select')) then
      failed := failed || format('usage of pgmq to %I', role_name);
    end if;
  end loop;
  if not (has_schema_privilege(worker, 'realtime', 'usage') and has_function_privilege(worker, 'realtime.send(jsonb, text, text, boolean)', 'execute')) then
    failed := failed || format('execute on realtime.send to %I', worker);
  end if;
  if failed <> '{}' then
    raise exception 'the role % cannot grant these privileges: %', quote_ident(current_user), array_to_string(failed, ', ')
      using errcode = 'insufficient_privilege', hint = 'Let the owner of these schemas run this script, which `flowsmith install --grants --print` prints.';
  end if;
end;
end
{{ tag }};

{% include "end_script.sql" %}