-- --- Comparison of triggers -------------------------------------------------------------------------------------------

-- Returns whether pg_cron is installed and the current role can use it.
create or replace function flowsmith.can_use_pg_cron() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron')
    and exists (
      select from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'cron' and c.relname = 'job'
        and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))
$$;

-- Returns pg_cron's jobs of this database that have a name of flowsmith's or that start flows, and jobs of registered
-- triggers that were moved to another database. Flow and trigger of a job are those of the trigger with the job's name:
-- a registered trigger, an expected one, or the one that the job's command fires. Otherwise they are taken from the
-- job's name.
create or replace function flowsmith.actual_cron_jobs() returns table (
  job_id bigint, job text, schedule text, command text, active boolean, database text, flow text, name text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not flowsmith.can_use_pg_cron() then
    return;
  end if;
  -- Dynamic SQL, because PostgreSQL cannot plan a query on a table that does not exist.
  return query execute $query$
    with
    fired as (
      select regexp_match(
        j.command, '^select flowsmith[.]fire_schedule[(]''([A-Za-z0-9_]+)'', ''([A-Za-z0-9_]+)''[)]$') as arguments
      from cron.job j
    ),
    known_trigger (flow, name) as (
      select t.flow, t.name from flowsmith.triggers t where t.kind = 'cron'
      union select expected.flow, expected.name from flowsmith.expected_triggers() expected where expected.kind = 'cron'
      union select fired.arguments[1], fired.arguments[2] from fired where fired.arguments is not null
    )
    select j.jobid, j.jobname::text, j.schedule, j.command, j.active, j.database,
           coalesce(known.flow, split_part(j.jobname, ':', 2)), coalesce(known.name, split_part(j.jobname, ':', 3))
    from cron.job j
    left join known_trigger known on flowsmith.trigger_name(known.flow, known.name) = j.jobname::text
    where j.database = current_database() and (starts_with(j.jobname, 'flowsmith:') or j.command like '%start_flow%')
       or j.database <> current_database() and exists (
         select from flowsmith.triggers t
         where t.scheduled and flowsmith.trigger_name(t.flow, t.name) = j.jobname::text)
  $query$;
end
$$;

-- Returns the triggers on tables whose function is in the schema flowsmith_triggers. Flow and trigger are the arguments
-- of the table trigger; if someone created it without arguments, they are derived from the name of its function.
-- `disabled_partition` is a partition on which the trigger is not enabled as usual. `is_standard` tells whether the
-- trigger has no condition, column list or transition tables, which flowsmith never uses.
create or replace function flowsmith.actual_table_triggers() returns table (
  flow text, name text, trigger_name text, table_id oid, function_id oid, type int, enabled text,
  disabled_partition oid, is_standard boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when t.tgnargs = 2 then split_part(encoded.arguments, e'\\000', 1)
              else coalesce(registered.flow, split_part(p.proname, ':', 2)) end,
         case when t.tgnargs = 2 then split_part(encoded.arguments, e'\\000', 2)
              else coalesce(registered.name, split_part(p.proname, ':', 3)) end,
         t.tgname::text, t.tgrelid, t.tgfoid, t.tgtype::int, t.tgenabled::text,
         -- The triggers of partitions, at any depth, have the same function.
         (select min(inherited.tgrelid) from pg_catalog.pg_trigger inherited
          where inherited.tgfoid = t.tgfoid and inherited.tgparentid <> 0 and inherited.tgenabled <> 'O'),
         t.tgqual is null and t.tgattr = '' and t.tgconstraint = 0 and t.tgnewtable is null and t.tgoldtable is null
  from pg_catalog.pg_namespace n
  join pg_catalog.pg_proc p on p.pronamespace = n.oid
  join pg_catalog.pg_trigger t on t.tgfoid = p.oid and t.tgparentid = 0
  cross join lateral (select encode(t.tgargs, 'escape')) as encoded (arguments)
  left join flowsmith.triggers registered on t.tgnargs <> 2 and registered.kind = 'table'
    and flowsmith.trigger_name(registered.flow, registered.name) = p.proname::text
  where n.nspname = 'flowsmith_triggers'
$$;

-- Returns the differences between flowsmith.triggers and the expected triggers.
create or replace function flowsmith.registration_differences(flows text[])
returns table (flow text, name text, difference text, declared boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with
  expected as (select t.* from flowsmith.expected_triggers(flows) t),
  registered as (select t.* from flowsmith.triggers t where flows is null or t.flow in (select unnest(flows)))
  select expected.flow, expected.name,
         case when registered.flow is null then 'is not registered' else 'is registered with another definition' end,
         true
  from expected left join registered using (flow, name)
  where registered.flow is null or registered.definition <> expected.definition or registered.kind <> expected.kind
  union all
  select registered.flow, registered.name, 'is registered, but no current version declares it', false
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
           actual.is_standard and actual.type = flowsmith.trigger_type(expected.definition) as is_unmodified,
           pg_get_userbyid(p.proowner) as owner, registered.function_owner as expected_owner,
           p.prosrc = flowsmith.trigger_function_body(expected.flow, expected.name, expected.definition)
             and p.prosecdef
             and p.proconfig is not distinct from
               array['search_path=pg_catalog, pg_temp', 'standard_conforming_strings=on']
             and p.proname = expected.trigger_name as is_function_unmodified
    from expected
    left join actual using (flow, name, table_id, trigger_name)
    left join flowsmith.triggers registered using (flow, name)
    left join pg_catalog.pg_proc p on p.oid = actual.function_id
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
        where c.oid = t.disabled_partition))
      when t.owner <> t.expected_owner then format('its function is owned by %s instead of %s', t.owner, t.expected_owner)
      when not t.is_function_unmodified then 'its function was modified manually' end as difference
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

-- Returns the differences between the expected and the actual triggers of these flows, or of all flows if null.
-- `declared` is false for an object that exists although no flow file declares it.
create or replace function flowsmith.trigger_differences(flows text[] default null)
returns table (flow text, name text, difference text, declared boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select d.* from flowsmith.registration_differences(flows) d
  union all
  select d.* from flowsmith.cron_job_differences(flows) d
  union all
  select d.* from flowsmith.table_trigger_differences(flows) d
$$;

