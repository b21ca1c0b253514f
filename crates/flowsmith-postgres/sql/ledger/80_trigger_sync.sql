-- --- Synchronization of triggers --------------------------------------------------------------------------------------

-- Unschedules the jobs of these flows (of all flows if null) that do not belong to an active trigger, or differ from
-- what it declares.
create or replace function flowsmith.unschedule_cron_jobs(flows text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  obsolete record;
begin
  for obsolete in
    select j.job_id from flowsmith.actual_cron_jobs() j
    where j.job like 'flowsmith:%:%' and (flows is null or j.flow in (select unnest(flows)))
      and not exists (
        select from flowsmith.active_triggers() t
        where t.kind = 'cron' and flowsmith.trigger_name(t.flow, t.name) = j.job
          and j.active and j.database = current_database()
          and t.definition #>> '{source,cron,schedule}' = j.schedule
          and flowsmith.cron_job_command(t.flow, t.name) = j.command)
  loop
    execute 'select cron.unschedule($1)' using obsolete.job_id;
  end loop;
end
$$;

-- Schedules the missing jobs of these flows, or of all flows if null.
create or replace function flowsmith.schedule_cron_jobs(flows text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  missing record;
begin
  for missing in
    select t.flow, t.name, t.definition #>> '{source,cron,schedule}' as schedule
    from flowsmith.active_triggers(flows) t
    where t.kind = 'cron'
      and not exists (select from flowsmith.actual_cron_jobs() j where j.job = flowsmith.trigger_name(t.flow, t.name))
    order by t.flow, t.name
  loop
    begin
      execute 'select cron.schedule($1, $2, $3)'
        using flowsmith.trigger_name(missing.flow, missing.name), missing.schedule,
          flowsmith.cron_job_command(missing.flow, missing.name);
    exception when invalid_parameter_value or raise_exception or internal_error or feature_not_supported then
      raise exception 'flowsmith: trigger % of flow %: pg_cron refuses the schedule %: %',
          missing.name, missing.flow, missing.schedule, sqlerrm
        using errcode = 'FL005', hint = format('`N seconds` and `$` need pg_cron 1.5 or later; this is %s.',
          (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pg_cron'));
    end;
  end loop;
end
$$;

-- Synchronizes pg_cron's jobs with the active triggers of these flows, or of all flows if null. If pg_cron cannot be
-- used, workers run the schedules.
create or replace function flowsmith.sync_cron_jobs(flows text[] default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  can_use_pg_cron constant boolean := flowsmith.can_use_pg_cron();
begin
  if can_use_pg_cron then
    perform flowsmith.unschedule_cron_jobs(flows);
    perform flowsmith.schedule_cron_jobs(flows);
  end if;
  update flowsmith.triggers t set scheduled = can_use_pg_cron
  where t.kind = 'cron' and (flows is null or t.flow in (select unnest(flows))) and t.scheduled <> can_use_pg_cron;
end
$$;

-- Returns the role that owns the functions of new triggers: a role with CREATE on the schema flowsmith_triggers to which the
-- current role can transfer ownership, else the current role.
create or replace function flowsmith.trigger_function_owner() returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce((
    select r.rolname::text
    from pg_catalog.pg_namespace n
    cross join lateral aclexplode(n.nspacl) privilege
    join pg_catalog.pg_roles r on r.oid = privilege.grantee
    where n.nspname = 'flowsmith_triggers' and privilege.privilege_type = 'CREATE' and privilege.grantee <> n.nspowner
      -- Since version 16, transferring ownership requires the SET option of the membership.
      and pg_has_role(r.oid,
        case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
    order by r.rolname limit 1), current_user::text)
$$;

-- Raises an error if a table's owner could run code with the privileges of a superuser: the owner of a table defines its
-- columns' types, with casts and checks that run in expressions.
create or replace function flowsmith.check_table_owner(flow text, name text, table_name text, owner text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  table_owner constant oid := (select c.relowner from pg_catalog.pg_class c where c.oid = flowsmith.table_oid(table_name));
begin
  if (select r.rolsuper from pg_catalog.pg_roles r where r.rolname = owner::name)
     and not (select r.rolsuper from pg_catalog.pg_roles r where r.oid = table_owner) then
    raise exception 'flowsmith: trigger % of flow %: its function would run with the privileges of the superuser % on %, which belongs to %',
        name, flow, quote_ident(owner), table_name, quote_ident(pg_get_userbyid(table_owner))
      using errcode = 'FL005', hint = 'Run `flowsmith install --grants`, so that the function belongs to the deployers, or apply as a role that is not a superuser.';
  end if;
end
$$;

-- Creates the function of a trigger on a table, or else on a queue, owned by `owner`. Nothing of its source runs, nor is it
-- parsed: PL/pgSQL parses an expression when it is reached.
create or replace function flowsmith.create_trigger_function(function_name text, is_on_table boolean, source text, owner text)
returns void
language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as $$
begin
  if is_on_table then
    execute format(
      'create function flowsmith_triggers.%I() returns trigger language plpgsql security definer
         set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as %L', function_name, source);
  else
    execute format(
      'create function flowsmith_triggers.%I(bigint, timestamptz, text, jsonb) returns jsonb language plpgsql security definer
         set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as %L', function_name, source);
  end if;
  execute format('revoke all on function flowsmith_triggers.%I from public', function_name);
  -- flowsmith.event_inputs, which calls the functions of queue triggers, belongs to the owner of the schema flowsmith.
  execute format('grant execute on function flowsmith_triggers.%I to %I', function_name, (
    select pg_get_userbyid(n.nspowner) from pg_catalog.pg_namespace n where n.nspname = 'flowsmith'));
  if owner <> current_user then
    execute format('alter function flowsmith_triggers.%I owner to %I', function_name, owner);
  end if;
end
$$;

-- Creates a table trigger and its function.
create or replace function flowsmith.create_table_trigger(flow text, name text, definition jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as $$
declare
  options      constant jsonb := definition #> '{source,table}';
  table_name   constant text := options ->> 'table';
  trigger_name constant text := flowsmith.trigger_name(flow, name);
  owner        constant text := flowsmith.trigger_function_owner();
begin
  if flowsmith.table_oid(table_name) is null then
    raise exception 'flowsmith: trigger % of flow %: table % does not exist', name, flow, table_name
      using errcode = 'FL005', hint = 'Create the table, then apply again.';
  end if;
  perform flowsmith.check_table_owner(flow, name, table_name, owner);
  perform flowsmith.check_trigger_expressions(flow, name, definition, owner);
  perform flowsmith.create_trigger_function(
    trigger_name, true, flowsmith.table_trigger_body(flow, name, definition), owner);
  execute format('create trigger %I after %s on %s for each row execute function flowsmith_triggers.%I(%L, %L)',
    trigger_name,
    (select string_agg(event.name, ' or ') from unnest(array['insert', 'update', 'delete']) as event (name) where options -> 'on' ? event.name),
    (select format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class c
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = flowsmith.table_oid(table_name)),
    trigger_name, flow, name);
exception
  when wrong_object_type or invalid_table_definition or invalid_object_definition or feature_not_supported then
    raise exception 'flowsmith: trigger % of flow %: % cannot have a row trigger: %', name, flow, table_name, sqlerrm
      using errcode = 'FL005', hint = 'Name a table. Views and the engine''s own tables cannot have such triggers.';
  when insufficient_privilege then
    raise exception 'flowsmith: trigger % of flow % on %: %', name, flow, table_name, sqlerrm
      using errcode = 'insufficient_privilege',
        hint = format('Let the owner of the table run `grant trigger on %s to %I`, and run `flowsmith install --grants` for this version.',
          table_name, current_user);
end
$$;

-- Creates the function that computes the inputs of a queue trigger's runs.
create or replace function flowsmith.create_queue_trigger(flow text, name text, definition jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  owner constant text := flowsmith.trigger_function_owner();
begin
  perform flowsmith.check_trigger_expressions(flow, name, definition, owner);
  perform flowsmith.create_trigger_function(
    flowsmith.trigger_name(flow, name), false, flowsmith.queue_trigger_body(definition), owner);
end
$$;

-- Registers the expected triggers of these flows and removes the others.
create or replace function flowsmith.register_triggers(flows text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from flowsmith.triggers registered
  where registered.flow = any (flows) and not exists (
    select from flowsmith.expected_triggers(flows) expected
    where expected.flow = registered.flow and expected.name = registered.name);
  insert into flowsmith.triggers as registered (flow, name, kind, definition)
  select expected.flow, expected.name, expected.kind, expected.definition
  from flowsmith.expected_triggers(flows) expected
  on conflict on constraint triggers_pkey do update
    set kind = excluded.kind, definition = excluded.definition,
        scheduled = registered.scheduled and excluded.kind = 'cron',
        since = case when registered.definition -> 'source' is distinct from excluded.definition -> 'source'
                     then clock_timestamp() else registered.since end
    where registered.definition <> excluded.definition;
  -- The lock of each PgQ consumer.
  insert into flowsmith.worker_locks (name)
  select format('flowsmith:%s:%s', t.flow, t.name) from flowsmith.triggers t
  where t.flow = any (flows) and t.definition #>> '{source,queue,kind}' = 'pgq'
  on conflict do nothing;
end
$$;

-- Raises an error if a trigger would consume the queue of a flow. Checks all triggers, because the flow can be newer than
-- the trigger. pgmq's queue names are case-insensitive.
create or replace function flowsmith.check_trigger_queues() returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  conflict record;
begin
  select t.flow, t.name, f.flow_slug, t.definition #>> '{source,queue,queue}' as queue into conflict
  from flowsmith.triggers t
  join pgflow.flows f on lower(f.flow_slug) = lower(t.definition #>> '{source,queue,queue}')
  where t.kind = 'queue' and t.definition #>> '{source,queue,kind}' = 'pgmq'
  order by t.flow, t.name limit 1;
  if found then
    raise exception 'flowsmith: trigger % of flow %: the queue % belongs to flow %',
        conflict.name, conflict.flow, conflict.queue, conflict.flow_slug
      using errcode = 'FL005', hint = 'Use a queue that does not belong to a flow: the trigger would consume the messages of its tasks.';
  end if;
end
$$;

-- Records, for the triggers of these flows, the owner of the function and the objects that its expressions name.
create or replace function flowsmith.record_trigger_functions(flows text[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update flowsmith.triggers t
  set function_owner = pg_get_userbyid(actual.owner),
      uses = coalesce((
        select jsonb_object_agg(o.name, o.kind)
        from flowsmith.named_objects(t.definition, pg_get_userbyid(actual.owner)) o), '{}')
  from flowsmith.actual_trigger_functions(flows) actual
  where actual.flow = t.flow and actual.name = t.name and actual.is_unmodified
$$;

-- Drops the functions of triggers that differ from the expected ones, and with them the triggers on tables: flowsmith owns
-- the function, but not necessarily the table. `unregistered` names functions that are no longer needed; if their table was
-- dropped, they have no trigger by which they could be found.
create or replace function flowsmith.drop_trigger_functions(flows text[], unregistered text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  changed constant text[] := array(
    select flowsmith.trigger_name(d.flow, d.name) from flowsmith.trigger_differences(flows) d);
  obsolete record;
begin
  for obsolete in
    select p.oid::regprocedure as routine
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname = 'flowsmith_triggers'
    where p.proname = any (unregistered || changed)
      or p.oid in (
        select actual.function_id from flowsmith.actual_table_triggers() actual
        where flowsmith.trigger_name(actual.flow, actual.name) = any (changed))
    order by p.proname
  loop
    execute format('drop routine %s cascade', obsolete.routine);
  end loop;
end
$$;

-- Creates the missing table triggers of these flows, and the missing functions of their queue triggers.
create or replace function flowsmith.create_missing_triggers(flows text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  expected record;
begin
  for expected in
    select t.flow, t.name, t.kind, t.definition
    from flowsmith.expected_triggers(flows) t
    join flowsmith.expected_trigger_functions(flows) required using (flow, name)
    where not exists (
      select from flowsmith.actual_trigger_functions(flows) actual where actual.flow = t.flow and actual.name = t.name)
    order by t.flow, t.name
  loop
    if expected.kind = 'table' then
      perform flowsmith.create_table_trigger(expected.flow, expected.name, expected.definition);
    else
      perform flowsmith.create_queue_trigger(expected.flow, expected.name, expected.definition);
    end if;
  end loop;
  perform flowsmith.record_trigger_functions(flows);
end
$$;

-- Synchronizes the triggers of these flows with the flows' current versions, and verifies the result. A trigger that
-- already has the expected definition is not changed.
create or replace function flowsmith.sync_triggers(flows text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  unregistered constant text[] := array(
    select flowsmith.trigger_name(registered.flow, registered.name) from flowsmith.triggers registered
    where registered.flow = any (flows) and not exists (
      select from flowsmith.expected_trigger_functions(flows) expected
      where expected.flow = registered.flow and expected.name = registered.name));
  differences text;
  unscheduled text;
begin
  perform flowsmith.register_triggers(flows);
  perform flowsmith.check_trigger_queues();
  perform flowsmith.drop_trigger_functions(flows, unregistered);
  perform flowsmith.create_missing_triggers(flows);
  perform flowsmith.sync_cron_jobs(flows);

  select string_agg(format('%s: trigger %s: %s', d.flow, d.name, d.difference), e'\n' order by d.flow, d.name)
    into differences
  from flowsmith.trigger_differences(flows) d;
  if differences is not null then
    raise exception e'flowsmith: the database does not have the expected triggers:\n%', differences using errcode = 'FL003';
  end if;
  select string_agg(format('%s of %s', t.name, t.flow), ', ' order by t.flow, t.name) into unscheduled
  from flowsmith.triggers t where t.flow = any (flows) and t.kind = 'cron' and not t.scheduled;
  if unscheduled is not null then
    raise notice 'flowsmith: pg_cron is not available to this role, so these schedules fire only while a worker runs with --schedule: %', unscheduled;
  end if;
end
$$;

