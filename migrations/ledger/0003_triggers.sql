-- The flowsmith schema, version 3: triggers, which start runs of a flow's current version.
--
--   triggers    one row a trigger in force: what the worker's scheduler and intake read
--   firings     the planned times of schedules that the worker's scheduler has started a run for
--   taken       the events of queues that a run was started for, or none after many attempts
--
-- A flow version's triggers stand in its definition; in force are those of current versions. `sync_triggers` brings the
-- database there, for the flows that a migration touches: a row here, and
--
--   cron     a job of pg_cron, `flowsmith:<flow>:<trigger>`, where that is installed; else the row is for the worker
--   table    a trigger of that name on the table, and its function in the schema `flowsmith_triggers`
--   queue    the row alone, for the worker
--
-- What it makes is told by `trigger_differences` from what is recorded: that is its own check, and what drift reads.
--
-- Rights. `fire_schedule`, `fire_row` and `take_event` start runs of flows for triggers in force, and nothing else; they run with their
-- owner's rights where the engine is flowsmith's. A schedule's input is the recorded one. The function of a table trigger
-- runs its `when` and `input_sql`, which are SQL of the flow file, with the rights of its owner: the role that the schema
-- flowsmith_triggers grants CREATE to (`install --grants`: the deployers), else the one that applied. So whoever writes to the table needs no right on
-- flowsmith, and what a flow file says is never run with more rights than its deployer has. The functions see pg_catalog
-- alone: everything else is to be named with its schema.
--
-- Lock order: as version 1, then the tables that triggers are made on. Whoever changes a row holds its table before the run
-- is started, so a migration that replaces the steps of one flow and makes the trigger of another can meet it in a
-- deadlock; PostgreSQL ends one of the two, and nothing is half done.
--
-- SQLSTATE raised here besides those of version 1: FL005 a trigger that this database cannot have.
--
-- Runs on PostgreSQL 14 to 18. Idempotent.

create schema if not exists flowsmith_triggers;
comment on schema flowsmith_triggers is 'flowsmith: a function for each trigger on a table';
revoke all on schema flowsmith_triggers from public;

create table if not exists flowsmith.triggers (
  flow text not null,
  name text not null,
  kind text not null check (kind in ('cron', 'table', 'queue')),
  definition jsonb not null,
  scheduled boolean not null default false check (kind = 'cron' or not scheduled),
  since timestamptz not null default clock_timestamp(),
  primary key (flow, name)
);
comment on table flowsmith.triggers is 'the triggers in force: those of current flow versions';
comment on column flowsmith.triggers.scheduled is 'pg_cron runs it; else the worker''s scheduler does';
comment on column flowsmith.triggers.since is 'since when it listens to what it listens to now: schedules have no firing before';

create table if not exists flowsmith.firings (
  flow text not null,
  name text not null,
  planned_at timestamptz not null,
  fired_at timestamptz not null default clock_timestamp(),
  run_id uuid,
  primary key (flow, name, planned_at)
);
comment on table flowsmith.firings is 'firings of schedules that the worker''s scheduler has started; one row a planned time, so that none is started twice';

create table if not exists flowsmith.taken (
  flow text not null,
  name text not null,
  event_id bigint not null,
  batch_id bigint,
  taken_at timestamptz not null default clock_timestamp(),
  run_id uuid,
  primary key (flow, name, event_id)
);
comment on table flowsmith.taken is 'events of queues that a run was started for; one row an event, so that none starts two';
comment on column flowsmith.taken.run_id is 'null where it was given up: see flowsmith.events';
comment on column flowsmith.taken.batch_id is 'PgQ''s batch; null for pgmq';
create index if not exists taken_by_batch on flowsmith.taken (flow, name, batch_id);

-- ─── What is meant ──────────────────────────────────────────────────────────────────────────────────────────────────

-- The triggers of the current versions of these flows; null = of all.
create or replace function flowsmith.meant_triggers(flows text[] default null)
returns table (flow text, name text, kind text, definition jsonb)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select v.flow, d.value ->> 'name', (select k.kind from jsonb_object_keys(d.value -> 'source') as k (kind) limit 1), d.value
  from flowsmith.flow_versions v
  cross join lateral jsonb_array_elements(v.definition -> 'triggers') as d
  where v.state = 'current' and v.definition ? 'triggers' and (flows is null or v.flow = any (flows))
$$;

-- What a trigger's job, its trigger on the table and its function are called; the latter two fit PostgreSQL's 63 bytes.
create or replace function flowsmith.job_name(flow text, name text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select 'flowsmith:' || flow || ':' || name
$$;

create or replace function flowsmith.trigger_name(flow text, name text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when octet_length(j.name) <= 63 then j.name else left(j.name, 46) || ':' || left(md5(j.name), 16) end
  from (select flowsmith.job_name(flow, name)) as j (name)
$$;

-- What pg_cron runs.
create or replace function flowsmith.job_command(flow text, name text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select format('select flowsmith.fire_schedule(%L, %L)', flow, name)
$$;

-- The body of a table trigger's function. `when` and `input_sql` stand on lines of their own, in parentheses that a check
-- of the file has shown they do not leave. A column of the author's own queries wins over a variable of this function.
create or replace function flowsmith.trigger_body(flow text, name text, definition jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($body$
#variable_conflict use_column
begin
  if (
%s
  ) then
    perform flowsmith.fire_row(%L, %L, (
%s
    )::pg_catalog.jsonb);
  end if;
  return null;
%send
$body$,
    coalesce(t ->> 'when', 'true'), flow, name, coalesce(t #>> '{input,sql}', format('%L', t #> '{input,value}')),
    case when not coalesce((t -> 'strict')::boolean, false) then format($handler$exception when others then
  raise warning 'flowsmith: trigger %s of flow %s started no run: %%', sqlerrm using errcode = sqlstate;
  begin
    insert into flowsmith.events (kind, detail)
    values ('trigger-failed', pg_catalog.jsonb_build_object('flow', %L, 'trigger', %L, 'table', tg_relid::pg_catalog.regclass::pg_catalog.text, 'sqlstate', sqlstate, 'error', sqlerrm));
  exception when others then
    raise warning 'flowsmith: which could not be recorded: %%', sqlerrm;
  end;
  return null;
$handler$, name, flow, flow, name) else '' end)
  from (select definition #> '{source,table}') as d (t)
$$;

-- pg_trigger.tgtype of an AFTER ... FOR EACH ROW trigger on these changes.
create or replace function flowsmith.trigger_type(definition jsonb) returns int
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select 1 + sum(case e.event when 'insert' then 4 when 'delete' then 8 when 'update' then 16 end)::int
  from jsonb_array_elements_text(definition #> '{source,table,on}') as e (event)
$$;

-- The table that a name means; null where there is none, or the role may not use its schema.
create or replace function flowsmith.table_oid(table_name text) returns oid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.oid
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relname = (parse_ident(table_name))[2]::name and n.nspname = (parse_ident(table_name))[1]::name
$$;

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

-- ─── Bringing the one to the other ──────────────────────────────────────────────────────────────────────────────────

-- Gives pg_cron the jobs of these flows (null = of all), and takes away those that are meant no more. The jobs are its
-- owner's, whoever applies: pg_cron shows everyone their own jobs only.
create or replace function flowsmith.sync_jobs(flows text[] default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  has_scheduler constant boolean := flowsmith.has_scheduler();
  job record;
begin
  if has_scheduler then
    for job in
      select j.job_id from flowsmith.held_jobs() j
      where j.job like 'flowsmith:%:%' and (flows is null or split_part(j.job, ':', 2) = any (flows))
        and not exists (
          select from flowsmith.triggers t
          where t.kind = 'cron' and flowsmith.job_name(t.flow, t.name) = j.job and j.active
            and t.definition #>> '{source,cron,schedule}' = j.schedule and flowsmith.job_command(t.flow, t.name) = j.command)
    loop
      execute 'select cron.unschedule($1)' using job.job_id;
    end loop;
    for job in
      select t.flow, t.name, t.definition #>> '{source,cron,schedule}' as schedule
      from flowsmith.triggers t
      where t.kind = 'cron' and (flows is null or t.flow = any (flows))
        and not exists (select from flowsmith.held_jobs() j where j.job = flowsmith.job_name(t.flow, t.name))
      order by t.flow, t.name
    loop
      begin
        execute 'select cron.schedule($1, $2, $3)'
          using flowsmith.job_name(job.flow, job.name), job.schedule, flowsmith.job_command(job.flow, job.name);
      exception when invalid_parameter_value or raise_exception or internal_error or feature_not_supported then
        raise exception 'flowsmith: trigger % of flow %: pg_cron refuses the schedule %: %', job.name, job.flow, job.schedule, sqlerrm
          using errcode = 'FL005', hint = format('`N seconds` and `$` need pg_cron 1.5 or later; this is %s.',
            (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pg_cron'));
      end;
    end loop;
  end if;
  update flowsmith.triggers t set scheduled = has_scheduler
  where t.kind = 'cron' and (flows is null or t.flow = any (flows)) and t.scheduled <> has_scheduler;
end
$$;

-- Raises where `when` or `input_sql` is not an expression of the right type in this database.
create or replace function flowsmith.check_expression(flow text, name text, key text, expression text, type text, rows text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as $$
begin
  execute format(e'select (\n%s\n)::pg_catalog.%I from %s limit 0', expression, type, rows);
exception when others then
  raise exception 'flowsmith: trigger % of flow %: `%` does not work here: %', name, flow, key, sqlerrm
    using errcode = 'FL005', detail = expression,
      hint = 'It is an SQL expression; tables and functions outside of pg_catalog are named with their schema.';
end
$$;

-- Makes a table trigger and its function.
create or replace function flowsmith.create_table_trigger(flow text, name text, definition jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as $$
declare
  options    constant jsonb := definition #> '{source,table}';
  table_name constant text := options ->> 'table';
  table_id   constant oid := flowsmith.table_oid(options ->> 'table');
  called     constant text := flowsmith.trigger_name(flow, name);
  function_owner name;
  rows text;
begin
  if table_id is null then
    raise exception 'flowsmith: trigger % of flow %: there is no table %', name, flow, table_name
      using errcode = 'FL005', hint = 'Create the table, and apply again.';
  end if;
  rows := format(
    '(select (null::%1$s).*) as new, (select (null::%1$s).*) as old, (select null::pg_catalog.text) as operation (tg_op)',
    (select format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = table_id));
  if options ? 'when' then
    perform flowsmith.check_expression(flow, name, 'when', options ->> 'when', 'bool', rows);
  end if;
  if options -> 'input' ? 'sql' then
    perform flowsmith.check_expression(flow, name, 'input_sql', options #>> '{input,sql}', 'jsonb', rows);
  end if;
  execute format(
    'create function flowsmith_triggers.%I() returns trigger language plpgsql security definer
       set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as %L',
    called, flowsmith.trigger_body(flow, name, definition));
  execute format('revoke all on function flowsmith_triggers.%I() from public', called);
  function_owner := (
    select r.rolname
    from pg_catalog.pg_namespace n
    cross join lateral aclexplode(n.nspacl) a
    join pg_catalog.pg_roles r on r.oid = a.grantee
    where n.nspname = 'flowsmith_triggers' and a.privilege_type = 'CREATE' and a.grantee <> n.nspowner
      -- To give something to a role takes more than membership from version 16 on.
      and pg_has_role(r.oid, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
    order by r.rolname limit 1);
  execute format('create trigger %I after %s on %s for each row execute function flowsmith_triggers.%I(%L, %L)',
    called, (select string_agg(e.event, ' or ') from jsonb_array_elements_text(options -> 'on') as e (event)), table_name,
    called, flow, name);
  if function_owner is not null then
    execute format('alter function flowsmith_triggers.%I() owner to %I', called, function_owner);
  end if;
exception
  when wrong_object_type or invalid_table_definition or invalid_object_definition or feature_not_supported then
    raise exception 'flowsmith: trigger % of flow %: % cannot have it: %', name, flow, table_name, sqlerrm
      using errcode = 'FL005', hint = 'Name a table; views and the engine''s own tables have no such triggers.';
  when insufficient_privilege then
    raise exception 'flowsmith: trigger % of flow % on %: %', name, flow, table_name, sqlerrm
      using errcode = 'insufficient_privilege',
        hint = format('Let the owner of the table `grant trigger on %s to %I`, and have `flowsmith install --grants` run for this version.', table_name, current_user);
end
$$;

-- Brings the triggers in force for these flows to those of their current versions, and looks whether they are. What is as meant is not touched.
create or replace function flowsmith.sync_triggers(flows text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  -- Functions whose table is gone have no trigger to be found by.
  called text[] := array(
    select flowsmith.trigger_name(r.flow, r.name) from flowsmith.triggers r
    where r.flow = any (flows) and r.kind = 'table' and not exists (
      select from flowsmith.meant_triggers(flows) m where m.flow = r.flow and m.name = r.name and m.kind = 'table'));
  changed text[];
  t record;
  wrong text;
  unscheduled text;
begin
  delete from flowsmith.triggers r
  where r.flow = any (flows) and not exists (select from flowsmith.meant_triggers(flows) m where m.flow = r.flow and m.name = r.name);
  insert into flowsmith.triggers as r (flow, name, kind, definition)
  select m.flow, m.name, m.kind, m.definition from flowsmith.meant_triggers(flows) m
  on conflict on constraint triggers_pkey do update
    set kind = excluded.kind, definition = excluded.definition, scheduled = r.scheduled and excluded.kind = 'cron',
        since = case when r.definition -> 'source' is distinct from excluded.definition -> 'source' then clock_timestamp() else r.since end
    where r.definition <> excluded.definition;

  changed := array(select flowsmith.job_name(d.flow, d.name) from flowsmith.trigger_differences(flows) d);
  called := called || array(select flowsmith.trigger_name(d.flow, d.name) from flowsmith.trigger_differences(flows) d);
  -- A trigger goes with its function, which is ours where the table may not be.
  for t in
    select p.proname
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname = 'flowsmith_triggers'
    where p.proname = any (called)
      or p.oid in (select h.function_id from flowsmith.held_table_triggers() h where flowsmith.job_name(h.flow, h.name) = any (changed))
    order by 1
  loop
    execute format('drop function flowsmith_triggers.%I() cascade', t.proname);
  end loop;

  for t in
    select m.flow, m.name, m.definition from flowsmith.meant_triggers(flows) m
    where m.kind = 'table' and not exists (
      select from flowsmith.held_table_triggers() h where h.flow = m.flow and h.name = m.name)
    order by m.flow, m.name
  loop
    perform flowsmith.create_table_trigger(t.flow, t.name, t.definition);
  end loop;

  for t in select m.flow, m.name, m.definition from flowsmith.meant_triggers(flows) m where m.definition #> '{source,queue}' ? 'input_sql' loop
    perform flowsmith.check_expression(t.flow, t.name, 'input_sql', t.definition #>> '{source,queue,input_sql}', 'jsonb',
      '(select null::bigint as id, null::timestamptz as time, null::text as type, null::jsonb as data) as event');
  end loop;

  perform flowsmith.sync_jobs(flows);

  select string_agg(format('%s: trigger %s: %s', d.flow, d.name, d.difference), e'\n' order by d.flow, d.name) into wrong
  from flowsmith.trigger_differences(flows) d;
  if wrong is not null then
    raise exception e'flowsmith: the database does not have the triggers that are meant:\n%', wrong using errcode = 'FL003';
  end if;
  select string_agg(format('%s of %s', r.name, r.flow), ', ' order by r.flow, r.name) into unscheduled
  from flowsmith.triggers r where r.flow = any (flows) and r.kind = 'cron' and not r.scheduled;
  if unscheduled is not null then
    raise notice 'flowsmith: no pg_cron here that this role may use, so these schedules fire only while a worker runs with --schedule: %', unscheduled;
  end if;
end
$$;

-- ─── Starting runs ──────────────────────────────────────────────────────────────────────────────────────────────────

-- The definition of a trigger in force; raises where it is not.
create or replace function flowsmith.trigger_in_force(flow text, name text, kind text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  definition constant jsonb := (
    select t.definition from flowsmith.triggers t
    where t.flow = trigger_in_force.flow and t.name = trigger_in_force.name and t.kind = trigger_in_force.kind);
begin
  if definition is null then
    raise exception 'flowsmith: flow % has no trigger % of kind % in force', flow, name, kind
      using errcode = 'FL002', hint = 'It was taken out of the flow file, or the flow is retired.';
  end if;
  return definition;
end
$$;

-- Starts the run of a schedule, with the input that is recorded. With a planned time only once; null where that was
-- started already. pg_cron calls it without.
create or replace function flowsmith.fire_schedule(flow text, name text, planned_at timestamptz default null) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  definition constant jsonb := flowsmith.trigger_in_force(flow, name, 'cron');
  started uuid;
begin
  if planned_at is not null then
    insert into flowsmith.firings (flow, name, planned_at) values (fire_schedule.flow, fire_schedule.name, fire_schedule.planned_at)
    on conflict on constraint firings_pkey do nothing;
    if not found then
      return null;
    end if;
  end if;
  started := (select r.run_id from flowsmith.start_flow(fire_schedule.flow, definition #> '{source,cron,input}') r);
  update flowsmith.firings f set run_id = started
  where f.flow = fire_schedule.flow and f.name = fire_schedule.name and f.planned_at = fire_schedule.planned_at;
  return started;
end
$$;

-- Starts the run of a table trigger.
create or replace function flowsmith.fire_row(flow text, name text, input jsonb) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform flowsmith.trigger_in_force(flow, name, 'table');
  return (select r.run_id from flowsmith.start_flow(fire_row.flow, fire_row.input) r);
end
$$;

-- Starts the run of an event of a queue, once; null where that was done already. To be called in the transaction that
-- takes the event from its queue, or before it: the row here tells that the run is started.
create or replace function flowsmith.take_event(flow text, name text, event_id bigint, batch_id bigint, input jsonb) returns uuid
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  started uuid;
begin
  perform flowsmith.trigger_in_force(flow, name, 'queue');
  insert into flowsmith.taken (flow, name, event_id, batch_id)
  values (take_event.flow, take_event.name, take_event.event_id, take_event.batch_id)
  on conflict on constraint taken_pkey do nothing;
  if not found then
    return null;
  end if;
  started := (select r.run_id from flowsmith.start_flow(take_event.flow, take_event.input) r);
  update flowsmith.taken t set run_id = started
  where t.flow = take_event.flow and t.name = take_event.name and t.event_id = take_event.event_id;
  return started;
end
$$;

-- What an event carries: JSON where it is JSON, else the text.
create or replace function flowsmith.event_data(data text) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return data::jsonb;
exception when data_exception then
  return to_jsonb(data);
end
$$;

-- Records that an event of a queue starts no run, however often it is tried.
create or replace function flowsmith.give_up_event(flow text, name text, event_id bigint, batch_id bigint, data jsonb, error text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform flowsmith.trigger_in_force(flow, name, 'queue');
  insert into flowsmith.taken (flow, name, event_id, batch_id)
  values (give_up_event.flow, give_up_event.name, give_up_event.event_id, give_up_event.batch_id)
  on conflict on constraint taken_pkey do nothing;
  if found then
    insert into flowsmith.events (kind, detail)
    values ('trigger-failed', jsonb_build_object('flow', flow, 'trigger', name, 'event', event_id, 'data', data, 'error', error));
  end if;
end
$$;

-- An official engine may have another owner.
do $$
begin
  if pg_catalog.to_regclass('flowsmith.engine') is not null then
    alter function flowsmith.fire_schedule(text, text, timestamptz) security definer;
    alter function flowsmith.fire_row(text, text, jsonb) security definer;
    alter function flowsmith.take_event(text, text, bigint, bigint, jsonb) security definer;
    alter function flowsmith.give_up_event(text, text, bigint, bigint, jsonb, text) security definer;
  end if;
end
$$;

revoke all on all functions in schema flowsmith from public;
