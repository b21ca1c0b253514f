{#- The three roles and their rights. `roles`: each with its name and its rights on what is flowsmith's own, from
    src/engine/roles/rights.txt; what belongs to others (pgmq, Supabase's realtime) is granted by hand at the end, where it
    is lacking. -#}
-- flowsmith {{ tool_version }}: the rights of {% for role in roles %}{{ role.name | comment }}{% if not loop.last %}, {% endif %}{% endfor %}.
--
-- Roles that cannot log in; grant them to the ones that do: `grant {{ worker | identifier | comment }} to alice`. To be run by the one who
-- installed, in one transaction, after the install script. Safe to run again, and to be run again after each upgrade: it
-- takes every right back and grants what this version needs.

do {{ tag }}
declare
  missing constant text[] := array(
    select r.name from unnest(array[{% for role in roles %}{{ role.name | literal }}{% if not loop.last %}, {% endif %}{% endfor %}]) with ordinality as r (name, place)
    where not exists (select from pg_catalog.pg_roles p where p.rolname = r.name)
    order by r.place);
  may_create constant boolean := (select r.rolsuper or r.rolcreaterole from pg_catalog.pg_roles r where r.rolname = current_user);
  role_name text;
begin
  if to_regclass('flowsmith.engine') is null then
    raise exception 'flowsmith: the roles are for flowsmith''s own engine, and this database has none'
      using errcode = 'FL002', hint = 'Whoever made the engine that is here also knows who is to have which right on it.';
  end if;
  if missing <> '{}' and not may_create then
    raise exception 'the role % may not create roles, and there are no roles %', quote_ident(current_user), array_to_string(missing, ', ')
      using errcode = 'insufficient_privilege',
        hint = format('Let one who may (CREATEROLE) run `%s`, then run this again.',
          (select string_agg(format('create role %I', m), '; ') from unnest(missing) m));
  end if;
  foreach role_name in array missing loop
    begin
      execute format('create role %I nologin', role_name);
    exception when duplicate_object or unique_violation then
      -- The same install, at the same moment, in another database of this server.
      null;
    end;
  end loop;
end
{{ tag }};

-- ─── flowsmith's own: exactly these ─────────────────────────────────────────────────────────────────────────────────
{% for role in roles %}
revoke all on all tables in schema pgflow, flowsmith from {{ role.name | identifier }};
revoke all on all functions in schema pgflow, flowsmith from {{ role.name | identifier }};
revoke all on schema pgflow, flowsmith, flowsmith_triggers from {{ role.name | identifier }};
{%- for right in role.rights %}
grant {{ right.privilege }} on {{ right.object }} to {{ role.name | identifier }};
{%- endfor %}
{% endfor %}
-- ─── pgmq's and the events': what is lacking; the queues that there are ─────────────────────────────────────────────

do {{ tag }}
declare
  deployer constant text := {{ deployer | literal }};
  worker   constant text := {{ worker | literal }};
  role_name text;
  queue     record;
  lacking   text[] := '{}';
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
    select c.oid, format('pgmq.%I', c.relname) as name, pg_get_userbyid(c.relowner) as owner, k.privileges
    from pgflow.flows f
    join pgmq.meta m on m.queue_name = f.flow_slug
    cross join (values ('q_', 'select, insert, update, delete'), ('a_', 'select, insert')) as k (prefix, privileges)
    join pg_catalog.pg_class c on c.relnamespace = 'pgmq'::regnamespace and c.relname = k.prefix || lower(f.flow_slug)
  loop
    -- Asked first and checked afterwards: of one who may not, PostgreSQL refuses some grants and only warns of others.
    if pg_has_role(current_user, queue.owner, 'usage') then
      execute format('grant %s on table %s to %I', queue.privileges, queue.name, worker);
    else
      lacking := lacking || format('%s (of %s)', queue.name, queue.owner);
    end if;
  end loop;
  if lacking <> '{}' then
    raise exception 'the role % may not grant rights on these queues: %', quote_ident(current_user), array_to_string(lacking, ', ')
      using errcode = 'insufficient_privilege',
        hint = format('Let an administrator give them to one owner, as `alter table … owner to %I`, or run this as a superuser.', current_user);
  end if;
  foreach role_name in array array[deployer, worker] loop
    if not (has_schema_privilege(role_name, 'pgmq', 'usage') and has_table_privilege(role_name, 'pgmq.meta', 'select')) then
      lacking := lacking || format('pgmq to %I', role_name);
    end if;
  end loop;
  if not (has_schema_privilege(worker, 'realtime', 'usage') and has_function_privilege(worker, 'realtime.send(jsonb, text, text, boolean)', 'execute')) then
    lacking := lacking || format('realtime.send to %I', worker);
  end if;
  if lacking <> '{}' then
    raise exception 'the role % may not grant the use of %', quote_ident(current_user), array_to_string(lacking, ', ')
      using errcode = 'insufficient_privilege', hint = 'Let the owner of these schemas run this script: `flowsmith install --grants --print`.';
  end if;
end
{{ tag }};
