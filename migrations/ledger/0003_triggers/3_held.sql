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

-- pg_cron's jobs of this database that are flowsmith's, by their name, or that start flows.
create or replace function flowsmith.held_jobs() returns table (job_id bigint, job text, schedule text, command text, active boolean)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not flowsmith.has_scheduler() then
    return;
  end if;
  -- A statement of its own: where there is no such table, it must not even be planned.
  return query execute $jobs$
    select j.jobid, j.jobname::text, j.schedule, j.command, j.active
    from cron.job j
    where j.database = current_database() and (starts_with(j.jobname, 'flowsmith:') or j.command like '%start_flow%')
  $jobs$;
end
$$;

-- Triggers on tables whose function is one of flowsmith_triggers. Whose they are is said by their arguments.
create or replace function flowsmith.held_table_triggers() returns table (
  flow text, name text, trigger_name text, table_id oid, function_id oid, type int, enabled boolean, as_made boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select split_part(a.arguments, e'\\000', 1), split_part(a.arguments, e'\\000', 2), t.tgname::text, t.tgrelid, t.tgfoid,
         t.tgtype::int, t.tgenabled = 'O', t.tgqual is null and t.tgattr = '' and t.tgconstraint = 0 and t.tgnewtable is null and t.tgoldtable is null
  from pg_catalog.pg_namespace n
  join pg_catalog.pg_proc p on p.pronamespace = n.oid
  join pg_catalog.pg_trigger t on t.tgfoid = p.oid and t.tgparentid = 0
  cross join lateral (select encode(t.tgargs, 'escape')) as a (arguments)
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
    select split_part(j.job, ':', 2) as flow, split_part(j.job, ':', 3) as name, j.*
    from flowsmith.held_jobs() j
    where j.job like 'flowsmith:%:%' and (flows is null or split_part(j.job, ':', 2) = any (flows))
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
    select t.*, h.trigger_name, h.function_id, h.type, h.enabled, h.as_made
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
      when j.flow is null then 'its job is gone from pg_cron'
      when j.schedule is distinct from s.schedule then format('its job runs at %s', j.schedule)
      when j.command is distinct from flowsmith.job_command(s.flow, s.name) then format('its job runs %s', j.command)
      when not j.active then 'its job is disabled'
    end, true
  from schedule s left join job j using (flow, name)
  where s.scheduled
    and (j.flow is null or j.schedule is distinct from s.schedule
      or j.command is distinct from flowsmith.job_command(s.flow, s.name) or not j.active)
  union all
  select j.flow, j.name, format('pg_cron has a job %s', j.job), false
  from job j where not exists (select from schedule s where s.flow = j.flow and s.name = j.name and s.scheduled)
  union all
  select t.flow, t.name,
    case
      when t.table_id is null then format('the table %s is gone', t.table_name)
      when t.trigger_name is null then format('its trigger on %s is gone', t.table_name)
      when not t.enabled then format('its trigger on %s is disabled', t.table_name)
      when t.type <> flowsmith.trigger_type(t.definition) or not t.as_made then format('its trigger on %s was made anew by hand', t.table_name)
      else 'its function was changed by hand'
    end, true
  from with_trigger t
  left join pg_catalog.pg_proc p on p.oid = t.function_id
  where t.trigger_name is null or not t.enabled or not t.as_made or t.type <> flowsmith.trigger_type(t.definition)
    or p.prosrc <> flowsmith.trigger_body(t.flow, t.name, t.definition) or not p.prosecdef
    or p.proconfig is distinct from array['search_path=pg_catalog, pg_temp', 'standard_conforming_strings=on']
    or p.proname <> flowsmith.trigger_name(t.flow, t.name)
  union all
  select h.flow, h.name, format('%s has a trigger %s', h.table_id::regclass, h.trigger_name), false
  from held h
  where not exists (
    select from with_trigger t where t.flow = h.flow and t.name = h.name and t.table_id = h.table_id and t.trigger_name = h.trigger_name)
$$;
