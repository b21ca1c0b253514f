-- --- Comparison of triggers ------------------------------------------------------------------------------------------

-- Returns the differences between flowsmith.triggers and the expected triggers.
create or replace function flowsmith.registration_differences(flows text[])
returns table (flow text, name text, difference text, declared boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with
  expected as (select t.* from flowsmith.expected_triggers(flows) t),
  registered as (select t.* from flowsmith.triggers t where flows is null or t.flow in (select unnest(flows)))
  select expected.flow, expected.name,
         case when registered.flow is null then 'is not registered'
              else 'is registered with another definition, so it starts no runs' end,
         true
  from expected left join registered using (flow, name)
  where registered.flow is null or registered.definition <> expected.definition or registered.kind <> expected.kind
  union all
  select registered.flow, registered.name, 'is registered, but no current version declares it; it starts no runs', false
  from registered left join expected using (flow, name)
  where expected.flow is null
$$;

-- Returns the differences between pg_cron's jobs and those of the expected triggers that pg_cron runs.
create or replace function flowsmith.cron_job_differences(flows text[])
returns table (flow text, name text, difference text, declared boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with
  expected as (
    select t.flow, t.name, flowsmith.trigger_name(t.flow, t.name) as job,
           t.definition #>> '{source,cron,schedule}' as schedule, flowsmith.cron_job_command(t.flow, t.name) as command
    from flowsmith.expected_triggers(flows) t
    join flowsmith.triggers registered using (flow, name)
    where t.kind = 'cron' and registered.scheduled
  ),
  actual as (
    select j.* from flowsmith.actual_cron_jobs() j
    where j.job like 'flowsmith:%:%' and (flows is null or j.flow in (select unnest(flows)))
  )
  select compared.flow, compared.name, compared.difference, true
  from (
    select expected.flow, expected.name, case
      when actual.job is null then 'its pg_cron job is missing'
      when actual.database <> current_database() then format('its job runs in the database %s', actual.database)
      when actual.schedule is distinct from expected.schedule then format('its job runs at %s', actual.schedule)
      when actual.command is distinct from expected.command then format('its job runs %s', actual.command)
      when not actual.active then 'its job is disabled' end as difference
    from expected left join actual using (job)
  ) compared
  where compared.difference is not null
  union all
  select actual.flow, actual.name, format('pg_cron has an unexpected job %s', actual.job), false
  from actual where not exists (select from expected where expected.job = actual.job)
$$;

-- Returns the differences between the expected and the actual functions of triggers. If the function of a table trigger is
-- missing, so is the trigger, which table_trigger_differences reports.
create or replace function flowsmith.trigger_function_differences(flows text[])
returns table (flow text, name text, difference text, declared boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select described.flow, described.name, described.difference, true
  from (
    select expected.flow, expected.name, case
      when actual.function_id is null then case when expected.arguments <> '' then 'its function is missing' end
      when pg_get_userbyid(actual.owner) <> actual.expected_owner
        then format('its function is owned by %s instead of %s', pg_get_userbyid(actual.owner), actual.expected_owner)
      when not actual.is_unmodified then 'its function was modified manually' end as difference
    from flowsmith.expected_trigger_functions(flows) expected
    left join flowsmith.actual_trigger_functions(flows) actual using (flow, name)
  ) described
  where described.difference is not null
$$;

-- Returns the differences between the expected and the actual triggers on tables.
create or replace function flowsmith.table_trigger_differences(flows text[])
returns table (flow text, name text, difference text, declared boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with
  actual as (
    select t.* from flowsmith.actual_table_triggers() t where flows is null or t.flow in (select unnest(flows))
  ),
  expected as (
    select t.flow, t.name, t.definition, t.definition #>> '{source,table,table}' as table_name,
           flowsmith.table_oid(t.definition #>> '{source,table,table}') as table_id,
           flowsmith.trigger_name(t.flow, t.name) as trigger_name
    from flowsmith.expected_triggers(flows) t where t.kind = 'table'
  ),
  compared as (
    select expected.*, actual.function_id, actual.enabled, actual.disabled_partition,
           actual.is_standard and actual.type = flowsmith.trigger_type(expected.definition)
             and actual.function_id is not distinct from function.function_id as is_unmodified
    from expected
    left join actual using (flow, name, table_id, trigger_name)
    left join flowsmith.actual_trigger_functions(flows) function using (flow, name)
  )
  select described.flow, described.name, described.difference, true
  from (
    select t.flow, t.name, case
      when t.table_id is null then format('the table %s does not exist', t.table_name)
      when t.function_id is null then format('its trigger on %s is missing', t.table_name)
      when t.enabled = 'A' then format('its trigger on %s also fires for replicated changes (`enable always`)', t.table_name)
      when t.enabled = 'R' then format('its trigger on %s fires for replicated changes only (`enable replica`)', t.table_name)
      when t.enabled <> 'O' then format('its trigger on %s is disabled', t.table_name)
      when not t.is_unmodified then format('its trigger on %s was modified manually', t.table_name)
      when t.disabled_partition is not null then format('its trigger on %s is disabled', (
        select format('%I.%I', n.nspname, c.relname)
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where c.oid = t.disabled_partition)) end as difference
    from compared t
  ) described
  where described.difference is not null
  union all
  select actual.flow, actual.name, format('%s has an unexpected trigger %s', actual.table_id::regclass, actual.trigger_name), false
  from actual
  where not exists (
    select from expected
    where (expected.flow, expected.name, expected.table_id, expected.trigger_name)
        = (actual.flow, actual.name, actual.table_id, actual.trigger_name))
$$;

-- Returns the objects that the expressions of a trigger name, as far as they exist and a role may use them: columns of the
-- table, as `new.<column>` with their type; functions and relations, as `<schema>.<name>`. They are found by their names, so
-- an object whose name only occurs in a literal is returned too. `type_owner` is the owner of a column's type if it can
-- define casts or checks that run in the expression: it is not a superuser, and not the role itself.
create or replace function flowsmith.named_objects(definition jsonb, role_name text)
returns table (name text, kind text, type_owner text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with
  role as (
    select r.oid from pg_catalog.pg_roles r where r.rolname = role_name::name
  ),
  part as (
    select case when starts_with(found.parts[1], '"') then replace(btrim(found.parts[1], '"'), '""', '"') else lower(found.parts[1]) end as qualifier,
           case when starts_with(found.parts[2], '"') then replace(btrim(found.parts[2], '"'), '""', '"') else lower(found.parts[2]) end as name
    from (values (definition #>> '{source,table,when}'), (flowsmith.input_expression(definition))) as expression (text)
    cross join lateral regexp_matches(
      expression.text, '("(?:[^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)\s*[.]\s*("(?:[^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)', 'g') as found (parts)
  ),
  usable_schema as (
    select n.oid, n.nspname from pg_catalog.pg_namespace n, role where has_schema_privilege(role.oid, n.oid, 'usage')
  )
  select 'new.' || a.attname, format_type(a.atttypid, null),
    case when not exists (
      select from pg_catalog.pg_roles trusted, role
      where trusted.oid = t.typowner and (trusted.rolsuper or trusted.oid = role.oid)) then pg_get_userbyid(t.typowner)::text end
  from part
  join pg_catalog.pg_attribute a on a.attrelid = flowsmith.table_oid(definition #>> '{source,table,table}')
    and a.attname = part.name::name and a.attnum > 0 and not a.attisdropped
  join pg_catalog.pg_type t on t.oid = a.atttypid
  where part.qualifier in ('new', 'old')
  union
  select format('%I.%I', n.nspname, p.proname), 'function', null
  from role, part
  join usable_schema n on n.nspname = part.qualifier::name
  join pg_catalog.pg_proc p on p.pronamespace = n.oid and p.proname = part.name::name
  where has_function_privilege(role.oid, p.oid, 'execute')
  union
  select format('%I.%I', n.nspname, c.relname), 'relation', null
  from role, part
  join usable_schema n on n.nspname = part.qualifier::name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = part.name::name and c.relkind in ('r', 'p', 'v', 'm', 'f')
  where has_any_column_privilege(role.oid, c.oid, 'select')
$$;

-- Returns what has changed in the objects that the expressions of triggers named when the triggers were created. Compares
-- names, and reads catalogs only: an expression is never parsed, planned or evaluated here.
create or replace function flowsmith.expression_differences(flows text[])
returns table (flow text, name text, difference text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.flow, t.name, case
    when used.name like 'new.%' and present.kind is null
      then format('its expressions use the column %s of %s, which does not exist any more', substr(used.name, 5), t.definition #>> '{source,table,table}')
    when present.kind is null
      then format('its expressions use the %s %s, which does not exist any more, or which %s may not use any more', used.kind, used.name, t.function_owner)
    else format('its expressions use the column %s of %s, whose type is now %s of the role %s', substr(used.name, 5),
      t.definition #>> '{source,table,table}', present.kind, present.type_owner) end
  from flowsmith.active_triggers(flows) active
  join flowsmith.triggers t using (flow, name)
  cross join lateral jsonb_each_text(case jsonb_typeof(t.uses) when 'object' then t.uses else '{}' end) as used (name, kind)
  left join lateral (
    select o.kind, o.type_owner from flowsmith.named_objects(t.definition, t.function_owner) o where o.name = used.name) present on true
  where present.kind is null or present.kind <> used.kind and present.type_owner is not null
$$;

-- Returns the differences between the expected and the actual triggers of these flows, or of all flows if null.
-- `declared` is false for an object that exists although no flow file declares it. `broken` is true for an object that
-- matches its record, but whose expressions name something that has changed.
create or replace function flowsmith.trigger_differences(flows text[] default null)
returns table (flow text, name text, difference text, declared boolean, broken boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select d.*, false from flowsmith.registration_differences(flows) d
  union all
  select d.*, false from flowsmith.cron_job_differences(flows) d
  union all
  select d.*, false from flowsmith.table_trigger_differences(flows) d
  union all
  select d.*, false from flowsmith.trigger_function_differences(flows) d
  union all
  select d.*, true, true from flowsmith.expression_differences(flows) d
$$;
