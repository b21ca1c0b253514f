-- ─── What is there ──────────────────────────────────────────────────────────────────────────────────────────────────

-- Whether pg_cron is here and this role may give it jobs.
create or replace function flowsmith.has_scheduler() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron')
    and exists (
      select from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'cron' and c.relname = 'job' and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))
$$;

-- pg_cron's jobs of this database that are flowsmith's, by their name, or that start flows; and those it was given that somebody has
-- moved to another database. Whose they are is said by a trigger of that name: one in force, one meant, or the one that the job fires;
-- else by the name alone.
create or replace function flowsmith.held_jobs()
returns table (job_id bigint, job text, schedule text, command text, active boolean, database text, flow text, name text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not flowsmith.has_scheduler() then
    return;
  end if;
  -- A statement of its own: where there is no such table, it must not even be planned.
  return query execute $jobs$
    with fired as (
      select regexp_match(j.command, '^select flowsmith[.]fire_schedule[(]''([A-Za-z0-9_]+)'', ''([A-Za-z0-9_]+)''[)]$') as parts from cron.job j
    ),
    known (flow, name) as (
      select t.flow, t.name from flowsmith.triggers t where t.kind = 'cron'
      union select m.flow, m.name from flowsmith.meant_triggers() m where m.kind = 'cron'
      union select f.parts[1], f.parts[2] from fired f where f.parts is not null
    )
    select j.jobid, j.jobname::text, j.schedule, j.command, j.active, j.database,
           coalesce(k.flow, split_part(j.jobname, ':', 2)), coalesce(k.name, split_part(j.jobname, ':', 3))
    from cron.job j
    left join known k on flowsmith.trigger_name(k.flow, k.name) = j.jobname::text
    where j.database = current_database() and (starts_with(j.jobname, 'flowsmith:') or j.command like '%start_flow%')
       or j.database <> current_database() and exists (
         select from flowsmith.triggers t where t.scheduled and flowsmith.trigger_name(t.flow, t.name) = j.jobname::text)
  $jobs$;
end
$$;

-- Triggers on tables whose function is one of flowsmith_triggers. Whose they are is said by their arguments; where somebody made
-- one without, by its function. `disabled_part` is a partition that has the trigger as others do not.
create or replace function flowsmith.held_table_triggers() returns table (
  flow text, name text, trigger_name text, table_id oid, function_id oid, type int, enabled text, disabled_part oid, as_made boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when t.tgnargs = 2 then split_part(a.arguments, e'\\000', 1) else coalesce(k.flow, split_part(p.proname, ':', 2)) end,
         case when t.tgnargs = 2 then split_part(a.arguments, e'\\000', 2) else coalesce(k.name, split_part(p.proname, ':', 3)) end,
         t.tgname::text, t.tgrelid, t.tgfoid, t.tgtype::int, t.tgenabled::text,
         -- Those of partitions have the same function, however deep they are.
         (select min(c.tgrelid) from pg_catalog.pg_trigger c where c.tgfoid = t.tgfoid and c.tgparentid <> 0 and c.tgenabled <> 'O'),
         t.tgqual is null and t.tgattr = '' and t.tgconstraint = 0 and t.tgnewtable is null and t.tgoldtable is null
  from pg_catalog.pg_namespace n
  join pg_catalog.pg_proc p on p.pronamespace = n.oid
  join pg_catalog.pg_trigger t on t.tgfoid = p.oid and t.tgparentid = 0
  cross join lateral (select encode(t.tgargs, 'escape')) as a (arguments)
  left join flowsmith.triggers k on t.tgnargs <> 2 and k.kind = 'table' and flowsmith.trigger_name(k.flow, k.name) = p.proname::text
  where n.nspname = 'flowsmith_triggers'
$$;

-- How what is there differs from what is meant: one row a difference, for these flows; null = for all. `declared` is false where it
-- is there and no flow file says so. Sees with its owner's eyes, so that whoever may call it sees all.
create or replace function flowsmith.trigger_differences(flows text[] default null)
returns table (flow text, name text, difference text, declared boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with
  meant as (select m.* from flowsmith.meant_triggers(flows) m),
  recorded as (select t.* from flowsmith.triggers t where flows is null or t.flow = any (flows)),
  job as (
    select j.* from flowsmith.held_jobs() j
    where j.job like 'flowsmith:%:%' and (flows is null or j.flow = any (flows))
  ),
  held as (select h.* from flowsmith.held_table_triggers() h where flows is null or h.flow = any (flows)),
  schedule as (
    select r.flow, r.name, r.scheduled, m.definition #>> '{source,cron,schedule}' as schedule
    from meant m join recorded r using (flow, name) where m.kind = 'cron'
  ),
  on_table as (
    select m.flow, m.name, m.definition, m.definition #>> '{source,table,table}' as table_name,
           flowsmith.table_oid(m.definition #>> '{source,table,table}') as table_id
    from meant m where m.kind = 'table'
  ),
  with_trigger as (
    select t.*, h.trigger_name, h.function_id, h.type, h.enabled, h.disabled_part, h.as_made
    from on_table t left join held h on h.flow = t.flow and h.name = t.name and h.table_id = t.table_id
      and h.trigger_name = flowsmith.trigger_name(t.flow, t.name)
  )
  select m.flow, m.name, case when r.flow is null then 'is not in force' else 'another definition is in force' end, true
  from meant m left join recorded r using (flow, name)
  where r.flow is null or r.definition <> m.definition or r.kind <> m.kind
  union all
  select r.flow, r.name, 'is in force, and declared by no current version', false
  from recorded r where not exists (select from meant m where m.flow = r.flow and m.name = r.name)
  union all
  select s.flow, s.name,
    case
      when j.job is null then 'its job is gone from pg_cron'
      when j.database <> current_database() then format('its job runs in the database %s', j.database)
      when j.schedule is distinct from s.schedule then format('its job runs at %s', j.schedule)
      when j.command is distinct from flowsmith.job_command(s.flow, s.name) then format('its job runs %s', j.command)
      when not j.active then 'its job is disabled'
    end, true
  from schedule s left join job j on j.job = flowsmith.trigger_name(s.flow, s.name)
  where s.scheduled
    and (j.job is null or j.database <> current_database() or j.schedule is distinct from s.schedule
      or j.command is distinct from flowsmith.job_command(s.flow, s.name) or not j.active)
  union all
  select j.flow, j.name, format('pg_cron has a job %s', j.job), false
  from job j where not exists (select from schedule s where flowsmith.trigger_name(s.flow, s.name) = j.job and s.scheduled)
  union all
  select t.flow, t.name,
    case
      when t.table_id is null then format('the table %s is gone', t.table_name)
      when t.trigger_name is null then format('its trigger on %s is gone', t.table_name)
      when t.enabled = 'A' then format('its trigger on %s fires for replicated changes too: `enable always`', t.table_name)
      when t.enabled = 'R' then format('its trigger on %s fires for replicated changes alone: `enable replica`', t.table_name)
      when t.enabled <> 'O' then format('its trigger on %s is disabled', t.table_name)
      when t.type <> flowsmith.trigger_type(t.definition) or not t.as_made then format('its trigger on %s was made anew by hand', t.table_name)
      when t.disabled_part is not null then format('its trigger on %s is disabled', (
        select format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where c.oid = t.disabled_part))
      when pg_get_userbyid(p.proowner) <> r.function_owner then
        format('its function belongs to %s and was made for %s', pg_get_userbyid(p.proowner), r.function_owner)
      else 'its function was changed by hand'
    end, true
  from with_trigger t
  left join recorded r on r.flow = t.flow and r.name = t.name
  left join pg_catalog.pg_proc p on p.oid = t.function_id
  where t.trigger_name is null or t.enabled <> 'O' or t.disabled_part is not null or not t.as_made or t.type <> flowsmith.trigger_type(t.definition)
    or p.prosrc <> flowsmith.trigger_body(t.flow, t.name, t.definition) or not p.prosecdef
    or p.proconfig is distinct from array['search_path=pg_catalog, pg_temp', 'standard_conforming_strings=on']
    or p.proname <> flowsmith.trigger_name(t.flow, t.name) or pg_get_userbyid(p.proowner) <> r.function_owner
  union all
  select h.flow, h.name, format('%s has a trigger %s', h.table_id::regclass, h.trigger_name), false
  from held h
  where not exists (
    select from with_trigger t where t.flow = h.flow and t.name = h.name and t.table_id = h.table_id and t.trigger_name = h.trigger_name)
$$;
