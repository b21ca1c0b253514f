-- --- Migrations -------------------------------------------------------------------------------------------------------
--
-- A migration passes its plan, a JSON text, to these functions:
--
--   {"format": 1, "version", "name", "project", "environment", "layout", "engine": level, "flows": [
--     {"flow", "base", "result", "changes": [
--       {"change": "create", "class", "version", "state", "file", "digest", "definition"},
--       {"change": "alter", ..., "differences", "definition"},       another definition
--       {"change": "state", "class", "version", "state", "differences", "triggers"},
--       {"change": "drop", "class", "version", "triggers"}]}]}
--
-- With flowsmith's engine they run with the privileges of their owner (see 40_flows). None of them runs a text of the plan
-- as SQL.

-- Sets the settings that can change the meaning or the result of a statement, until the transaction ends. Returns the
-- previous values for restore_settings. The caller has pinned `search_path`.
create or replace function flowsmith.pin_settings() returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  pinned constant jsonb := jsonb '{
    "standard_conforming_strings": "on", "backslash_quote": "safe_encoding", "array_nulls": "on", "transform_null_equals": "off",
    "quote_all_identifiers": "off", "DateStyle": "ISO, YMD", "IntervalStyle": "postgres", "TimeZone": "UTC",
    "bytea_output": "hex", "extra_float_digits": "1", "xmlbinary": "base64", "check_function_bodies": "on"}';
  previous jsonb;
begin
  select jsonb_object_agg(setting.key, current_setting(setting.key)) into previous from jsonb_each_text(pinned) setting;
  perform set_config(setting.key, setting.value, true) from jsonb_each_text(pinned) setting;
  return previous;
end
$$;

-- Restores the settings that pin_settings returned.
create or replace function flowsmith.restore_settings(settings jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config(setting.key, setting.value, true) from jsonb_each_text(settings) setting;
end
$$;

-- Returns the changes of a plan as rows, in their order.
create or replace function flowsmith.plan_changes(plan jsonb) returns table (
  "position" bigint, action text, class text, flow text, version int, flow_slug text, state text, digest text,
  definition jsonb, differences jsonb, triggers jsonb)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select row_number() over (order by named.ordinality, change.ordinality), change.value ->> 'change', change.value ->> 'class',
         named.value ->> 'flow', (change.value ->> 'version')::int,
         flowsmith.database_slug(named.value ->> 'flow', (change.value ->> 'version')::int),
         change.value ->> 'state', change.value ->> 'digest', change.value -> 'definition', change.value -> 'differences',
         change.value -> 'triggers'
  from jsonb_array_elements(plan -> 'flows') with ordinality named,
       jsonb_array_elements(named.value -> 'changes') with ordinality change
  order by 1
$$;

-- Returns the options that change in place: previous and new values by option, of a flow or of a step.
create or replace function flowsmith.planned_options(plan jsonb) returns table (
  flow_slug text, step_slug text, options jsonb)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select change.flow_slug, difference.value #>> '{step,slug}', coalesce(difference.value -> 'options', difference.value -> 'step')
  from flowsmith.plan_changes(plan) change, jsonb_array_elements(change.differences) difference
  where change.action = 'alter'
    and (difference.value ? 'options' or change.class <> 'replace' and jsonb_typeof(difference.value -> 'step') = 'object')
$$;

-- Returns the new value of an option, or `otherwise` if it does not change.
create or replace function flowsmith.new_value(options jsonb, option text, otherwise int) returns int
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when options ? option then (options -> option ->> 1)::int else otherwise end
$$;

-- Raises an error if the plan of a migration is malformed.
create or replace function flowsmith.check_plan(plan jsonb) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  malformed text;
begin
  if plan ->> 'format' is distinct from '1' then
    raise exception 'flowsmith: migration % has format %, but this database supports format 1 only',
        plan ->> 'version', plan ->> 'format'
      using errcode = 'FL004', hint = 'Run `flowsmith install` of a newer flowsmith first.';
  end if;
  if coalesce(plan ->> 'version', '') !~ '^[0-9]{14}$' or coalesce(plan ->> 'name', '') !~ '^[a-z0-9_]{1,80}$' then
    raise exception 'flowsmith: the migration has no valid version and name' using errcode = 'FL004';
  end if;
  select format('%s@%s', change.flow, change.version) into malformed
  from flowsmith.plan_changes(plan) change
  where change.flow is null or change.version is null or change.version < 1
    or coalesce(change.action, '') not in ('create', 'alter', 'state', 'drop')
    or change.action <> 'drop' and coalesce(change.state, '') not in ('current', 'draining', 'retired')
    or change.action in ('create', 'alter')
      and (change.digest is null or not coalesce(flowsmith.is_definition(change.definition), false))
  limit 1;
  if found then
    raise exception 'flowsmith: the change of % in migration % is malformed', malformed, plan ->> 'version'
      using errcode = 'FL004', hint = 'Restore the file, and edit flow files instead of migrations.';
  end if;
end
$$;

-- Raises an error if the engine of this database cannot run the plan of a migration.
create or replace function flowsmith.check_plan_requirements(plan jsonb) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if pg_catalog.to_regclass('pgflow.flows') is null then
    raise exception 'flowsmith: this database has no workflow engine (schema pgflow)'
      using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if plan ->> 'engine' = '0.14' and not flowsmith.has_conditions() then
    raise exception 'flowsmith: migration % uses conditions or skip modes, which this engine does not support',
        plan ->> 'version'
      using errcode = 'FL001', hint = 'They need engine level 0.14: upgrade the engine, or remove `if`, `if_not`, `when_unmet` and `when_exhausted`.';
  end if;
end
$$;

-- Raises an error if the plan of a migration conflicts with the recorded flow versions.
create or replace function flowsmith.check_plan_conflicts(plan jsonb) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  conflict record;
begin
  select change.flow, change.version into conflict
  from flowsmith.plan_changes(plan) change
  where change.action in ('state', 'drop') and not exists (
    select 1 from flowsmith.flow_versions v where v.flow = change.flow and v.version = change.version)
  limit 1;
  if found then
    raise exception 'flowsmith: migration % changes flow %@%, which no applied migration created',
        plan ->> 'version', conflict.flow, conflict.version
      using errcode = 'FL004', hint = 'Apply the migrations in their order.';
  end if;

  select v.flow, v.version, v.migration into conflict
  from flowsmith.plan_changes(plan) change
  join flowsmith.flow_versions v on v.flow = change.flow and v.version = change.version
  where v.migration > plan ->> 'version'
  limit 1;
  if found then
    raise exception 'flowsmith: migration % is older than %, which has already changed flow %@%',
        plan ->> 'version', conflict.migration, conflict.flow, conflict.version
      using errcode = 'FL002', hint = 'Compile it again to give it a newer version.';
  end if;

  select v.flow, v.version, v.flow_slug into conflict
  from flowsmith.plan_changes(plan) change
  join flowsmith.flow_versions v
    on v.flow_slug = change.flow_slug and (v.flow, v.version) is distinct from (change.flow, change.version)
  where change.action in ('create', 'alter')
  limit 1;
  if found then
    raise exception 'flowsmith: the database flow % already belongs to flow %@%',
        conflict.flow_slug, conflict.flow, conflict.version
      using errcode = 'FL002', hint = 'Choose another slug for the flow.';
  end if;
end
$$;

-- Records the definitions of a plan. Raises an error if an engine's flow that flowsmith did not create has runs and
-- another definition: its steps must not change while runs use them.
create or replace function flowsmith.record_definitions(plan jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  unmanaged_slugs text[];
begin
  select array_agg(f.flow_slug) into unmanaged_slugs
  from flowsmith.plan_changes(plan) change
  join pgflow.flows f on f.flow_slug = change.flow_slug
  where change.action in ('create', 'alter')
    and not exists (select 1 from flowsmith.flow_versions v where v.flow_slug = f.flow_slug)
    and exists (select 1 from pgflow.runs r where r.flow_slug = f.flow_slug);

  -- end_migration sets the final states. Until then a new version is not current.
  insert into flowsmith.flow_versions as v (flow, version, flow_slug, state, digest, definition, migration)
  select change.flow, change.version, change.flow_slug, 'draining', change.digest, change.definition, plan ->> 'version'
  from flowsmith.plan_changes(plan) change
  where change.action in ('create', 'alter')
  on conflict on constraint flow_versions_pkey do update
    set digest = excluded.digest, definition = excluded.definition, migration = excluded.migration,
        updated_at = clock_timestamp();

  if unmanaged_slugs is not null and not flowsmith.flows_match(unmanaged_slugs) then
    raise exception 'flowsmith: these flows already exist with another definition and have runs: %',
        array_to_string(unmanaged_slugs, ', ')
      using errcode = 'FL002', hint = 'Raise `version:` in the flow file, or run `flowsmith pull` to adopt the existing definition.';
  end if;
end
$$;

-- Begins a migration; its first call. Returns false if the migration was applied before: it then skips the rest, so that
-- running a file twice, or an old file after a newer one, changes nothing.
create or replace function flowsmith.begin_migration(plan text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  parsed constant jsonb := plan::jsonb;
  applied_name text;
begin
  perform flowsmith.check_plan(parsed);
  perform flowsmith.acquire_lock();
  select m.name into applied_name from flowsmith.migrations m where m.version = parsed ->> 'version';
  if found and applied_name <> parsed ->> 'name' then
    raise exception 'flowsmith: version % is already used by another migration, %', parsed ->> 'version', applied_name
      using errcode = 'FL004', hint = 'Two branches were compiled in the same second: delete one of the two files, run `flowsmith compile --rehash`, and compile it again.';
  elsif found then
    raise notice 'flowsmith: migration % is already applied, skipping', parsed ->> 'version';
    return false;
  end if;
  perform flowsmith.check_plan_requirements(parsed);
  perform flowsmith.check_plan_conflicts(parsed);
  perform flowsmith.record_definitions(parsed);
  update flowsmith.apply_lock set transaction = pg_current_xact_id(), plan = sha256(convert_to(begin_migration.plan, 'UTF8'));
  return true;
end
$$;

-- Returns a plan with which this transaction has begun a migration. Raises an error for any other plan.
create or replace function flowsmith.begun_plan(plan text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (
    select from flowsmith.apply_lock begun
    where begun.transaction = pg_current_xact_id_if_assigned()
      and begun.plan = sha256(convert_to(begun_plan.plan, 'UTF8'))
  ) then
    raise exception 'flowsmith: this transaction has not begun the migration' using errcode = 'FL004',
      hint = 'Run the whole file in one transaction.';
  end if;
  return begun_plan.plan::jsonb;
end
$$;

-- Creates all flows of the plan that have no steps yet, and missing queues. One statement inserts the steps of all flows,
-- which is four times as fast as calling `pgflow.add_step` for each. Works in flowsmith's own engine only, because it
-- writes to the engine's tables; otherwise returns false, and the migration calls the engine's functions.
create or replace function flowsmith.create_flows(plan text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  begun constant jsonb := flowsmith.begun_plan(plan);
  planned_slugs text[];
  new_slugs     text[];
begin
  if pg_catalog.to_regclass('flowsmith.engine') is null then
    return false;
  end if;
  -- A separate statement, because PostgreSQL cannot plan a query on a table that does not exist.
  if not exists (select 1 from flowsmith.engine) then
    return false;
  end if;
  select array_agg(change.flow_slug),
         array_agg(change.flow_slug) filter (
           where not exists (select 1 from pgflow.steps s where s.flow_slug = change.flow_slug offset 0))
    into planned_slugs, new_slugs
  from flowsmith.plan_changes(begun) change where change.action in ('create', 'alter');

  perform pgflow.create_flow(
    flow_slug => expected.flow_slug, max_attempts => expected.max_attempts, base_delay => expected.base_delay,
    timeout => expected.timeout)
  from flowsmith.expected_flows(planned_slugs) expected
  where expected.flow_slug = any (new_slugs)
    or not exists (select 1 from pgmq.meta queue where queue.queue_name = expected.flow_slug offset 0);
  -- As pgflow.add_step does, this blocks other sessions that add steps to one of these flows.
  perform 1 from pgflow.flows f where f.flow_slug = any (new_slugs) order by f.flow_slug for no key update;
  insert into pgflow.steps (
    flow_slug, step_slug, step_index, step_type, deps_count,
    opt_max_attempts, opt_base_delay, opt_timeout, opt_start_delay,
    required_input_pattern, forbidden_input_pattern, when_unmet, when_exhausted)
  select expected.flow_slug, expected.step_slug, expected."position" - 1, expected.kind, cardinality(expected.depends_on),
         expected.max_attempts, expected.base_delay, expected.timeout, expected.start_delay,
         expected.required_input_pattern, expected.forbidden_input_pattern,
         expected.when_unmet, expected.when_exhausted
  from flowsmith.expected_steps(new_slugs) expected;
  insert into pgflow.deps (flow_slug, dep_slug, step_slug)
  select expected.flow_slug, dep_slug, expected.step_slug
  from flowsmith.expected_steps(new_slugs) expected, unnest(expected.depends_on) dep_slug;
  return true;
end
$$;

-- Returns the flows that the plan of a migration creates in an official engine, or whose queue it creates, in their order.
create or replace function flowsmith.planned_flows(plan text) returns table (
  flow_slug text, max_attempts int, base_delay int, timeout int)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with change as (
    select planned.* from flowsmith.plan_changes(plan::jsonb) planned
    where planned.action = 'create'
      or planned.action = 'alter' and (planned.class = 'replace' or planned.differences ? 'queue_recreated')
  )
  select expected.*
  from flowsmith.expected_flows(array(select change.flow_slug from change)) expected
  join change using (flow_slug)
  order by change."position"
$$;

-- Returns the steps that the plan of a migration creates in an official engine, each after its dependencies.
create or replace function flowsmith.planned_steps(plan text) returns table (
  flow_slug text, step_slug text, "position" bigint, kind text, depends_on text[],
  max_attempts int, base_delay int, timeout int, start_delay int,
  required_input_pattern jsonb, forbidden_input_pattern jsonb, when_unmet text, when_exhausted text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with change as (
    select planned.* from flowsmith.plan_changes(plan::jsonb) planned
    where planned.action = 'create' or planned.action = 'alter' and planned.class = 'replace'
  )
  select expected.*
  from flowsmith.expected_steps(array(select change.flow_slug from change)) expected
  join change using (flow_slug)
  order by change."position", expected."position"
$$;

-- Returns the flows whose triggers the plan of a migration may affect: those of the current version are in force.
create or replace function flowsmith.planned_triggers(plan text) returns text[]
language sql immutable security definer set search_path = pg_catalog, pg_temp as $$
  select array_agg(distinct change.flow order by change.flow)
  from flowsmith.plan_changes(plan::jsonb) change
  where change.triggers is not null or change.definition ? 'triggers'
    or change.differences ?| array['triggers_recreated']
    or jsonb_path_exists(change.differences, '$[*] ? (exists (@.trigger) || exists (@.trigger_added) || exists (@.trigger_removed))')
$$;

-- Sets the states that the plan of a migration gives to flow versions. Other versions of a flow that gets a new current
-- version become draining first: at most one version can be current at any time, even if the migration that retires the
-- other one has not run yet (one compilation can write several files).
create or replace function flowsmith.set_states(plan jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update flowsmith.flow_versions v
  set state = case when v.version = change.version then change.state else 'draining' end,
      migration = plan ->> 'version', updated_at = clock_timestamp()
  from flowsmith.plan_changes(plan) change
  where change.action <> 'drop' and v.flow = change.flow
    and (v.version = change.version and change.state <> 'current'
      or v.version <> change.version and change.state = 'current' and v.state = 'current');
  update flowsmith.flow_versions v
  set state = change.state, migration = plan ->> 'version', updated_at = clock_timestamp()
  from flowsmith.plan_changes(plan) change
  where change.action <> 'drop' and v.flow = change.flow and v.version = change.version and change.state = 'current';
end
$$;

-- Ends a migration. Raises an error if the actual definitions differ from the expected ones. Keeps the plan, from which the
-- file can be written again.
create or replace function flowsmith.end_migration(plan text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  begun constant jsonb := flowsmith.begun_plan(plan);
  changed_slugs constant text[] := array(
    select v.flow_slug from flowsmith.flow_versions v where v.migration = begun ->> 'version');
  differences text;
begin
  if not flowsmith.flows_match(changed_slugs) then
    select string_agg(format('%s: %s', d.flow_slug, d.difference), e'\n' order by d.flow_slug, d.difference)
      into differences
    from (select all_differences.* from flowsmith.flow_differences(changed_slugs) all_differences limit 20) d;
    raise exception e'flowsmith: after migration % the database does not match the expected definitions:\n%',
        begun ->> 'version', differences
      using errcode = 'FL003', hint = 'The flow already exists with another definition. Raise `version:` in the flow file, or run `flowsmith pull` to adopt the existing definition.';
  end if;

  delete from flowsmith.flow_versions v
  using flowsmith.plan_changes(begun) change
  where change.action = 'drop' and v.flow = change.flow and v.version = change.version;
  perform flowsmith.set_states(begun);

  insert into flowsmith.migrations (version, name, plan)
  values (begun ->> 'version', begun ->> 'name', end_migration.plan);
  insert into flowsmith.events (kind, detail)
  values ('migrated', jsonb_build_object('version', begun ->> 'version', 'name', begun ->> 'name'));
  update flowsmith.apply_lock set transaction = null, plan = null;
end
$$;
