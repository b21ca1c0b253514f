-- --- Jobs, triggers and functions in the database --------------------------------------------------------------------

-- Returns whether pg_cron is installed and the current role can use it. A table `cron.job` that is not part of the extension
-- does not count: reading it could run the code of its owner.
create or replace function flowsmith.can_use_pg_cron() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from pg_catalog.pg_extension e
    join pg_catalog.pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
      and d.classid = 'pg_class'::regclass
    join pg_catalog.pg_class c on c.oid = d.objid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where e.extname = 'pg_cron' and n.nspname = 'cron' and c.relname = 'job' and c.relkind = 'r'
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

-- Returns the functions of triggers that evaluate expressions: those of table triggers, and of queue triggers with an input
-- expression. `source` is the expected source of the function, `arguments` the expected types of its arguments.
create or replace function flowsmith.expected_trigger_functions(flows text[] default null)
returns table (flow text, name text, function_name text, arguments text, source text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.flow, t.name, flowsmith.trigger_name(t.flow, t.name), '', flowsmith.table_trigger_body(t.flow, t.name, t.definition)
  from flowsmith.expected_triggers(flows) t
  where t.kind = 'table'
  union all
  select t.flow, t.name, flowsmith.trigger_name(t.flow, t.name), 'bigint, timestamp with time zone, text, jsonb',
         flowsmith.queue_trigger_body(t.definition)
  from flowsmith.expected_triggers(flows) t
  where t.kind = 'queue' and flowsmith.input_expression(t.definition) is not null
$$;

-- Returns these functions as they are in the database, and whether each is unmodified: it then evaluates the declared
-- expressions only, with the privileges of its owner. Compares text; runs nothing.
create or replace function flowsmith.actual_trigger_functions(flows text[] default null)
returns table (flow text, name text, function_id oid, owner oid, expected_owner text, is_unmodified boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select expected.flow, expected.name, p.oid, p.proowner, registered.function_owner,
         p.prosrc = expected.source and p.prosecdef and p.prokind = 'f' and not p.proretset
           and l.lanname = 'plpgsql' and oidvectortypes(p.proargtypes) = expected.arguments
           and p.proconfig is not distinct from
             array['search_path=pg_catalog, pg_temp', 'standard_conforming_strings=on']
  from flowsmith.expected_trigger_functions(flows) expected
  join pg_catalog.pg_namespace n on n.nspname = 'flowsmith_triggers'
  join pg_catalog.pg_proc p on p.pronamespace = n.oid and p.proname = expected.function_name::name
  join pg_catalog.pg_language l on l.oid = p.prolang
  left join flowsmith.triggers registered on registered.flow = expected.flow and registered.name = expected.name
$$;
