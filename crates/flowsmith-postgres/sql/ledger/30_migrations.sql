-- --- Migrations -------------------------------------------------------------------------------------------------------
--
-- A migration passes its plan to begin_migration, create_flows and end_migration:
--
--   {"format": 1, "engine": level, "entries": [
--     {"do": "put", "state", "digest", "definition"},     create or change a flow version
--     {"do": "state", "flow", "version", "state"},        change its state only
--     {"do": "drop", "flow", "version"}]}                 delete it

-- Returns the entries of a plan as rows.
create or replace function flowsmith.plan_entries(plan jsonb) returns table (
  action text, flow text, version int, flow_slug text, state text, digest text, definition jsonb)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select element ->> 'do', named.flow, named.version, flowsmith.database_slug(named.flow, named.version),
         element ->> 'state', element ->> 'digest', element -> 'definition'
  from jsonb_array_elements(plan -> 'entries') element
  cross join lateral (
    select coalesce(element #>> '{definition,flow}', element ->> 'flow') as flow,
           coalesce(element #>> '{definition,version}', element ->> 'version')::int as version
  ) named
$$;

-- Raises an error if this database cannot run the plan of a migration.
create or replace function flowsmith.check_plan_requirements(version text, plan jsonb) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if plan ->> 'format' is distinct from '1' then
    raise exception 'flowsmith: migration % has format %, but this database supports format 1 only',
        check_plan_requirements.version, plan ->> 'format'
      using errcode = 'FL004', hint = 'Run `flowsmith install` of a newer flowsmith first.';
  end if;
  if pg_catalog.to_regclass('pgflow.flows') is null then
    raise exception 'flowsmith: this database has no workflow engine (schema pgflow)'
      using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if plan ->> 'engine' = '0.14' and not flowsmith.has_conditions() then
    raise exception 'flowsmith: migration % uses conditions or skip modes, which this engine does not support',
        check_plan_requirements.version
      using errcode = 'FL001', hint = 'They need engine level 0.14: upgrade the engine, or remove `if`, `if_not`, `when_unmet` and `when_exhausted`.';
  end if;
end
$$;

-- Raises an error if the plan of a migration conflicts with the recorded flow versions.
create or replace function flowsmith.check_plan_conflicts(version text, plan jsonb) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  conflict record;
begin
  select entry.flow, entry.version into conflict
  from flowsmith.plan_entries(plan) entry
  where entry.action <> 'put' and not exists (
    select 1 from flowsmith.flow_versions v where v.flow = entry.flow and v.version = entry.version)
  limit 1;
  if found then
    raise exception 'flowsmith: migration % changes flow %@%, which no applied migration created',
        check_plan_conflicts.version, conflict.flow, conflict.version
      using errcode = 'FL004', hint = 'Apply the migrations in their order.';
  end if;

  select v.flow, v.version, v.migration into conflict
  from flowsmith.plan_entries(plan) entry
  join flowsmith.flow_versions v on v.flow = entry.flow and v.version = entry.version
  where v.migration > check_plan_conflicts.version
  limit 1;
  if found then
    raise exception 'flowsmith: migration % is older than %, which has already changed flow %@%',
        check_plan_conflicts.version, conflict.migration, conflict.flow, conflict.version
      using errcode = 'FL002', hint = 'Compile it again to give it a newer version.';
  end if;

  select v.flow, v.version, v.flow_slug into conflict
  from flowsmith.plan_entries(plan) entry
  join flowsmith.flow_versions v
    on v.flow_slug = entry.flow_slug and (v.flow, v.version) is distinct from (entry.flow, entry.version)
  where entry.action = 'put'
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
create or replace function flowsmith.record_definitions(version text, plan jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  unmanaged_slugs text[];
begin
  select array_agg(f.flow_slug) into unmanaged_slugs
  from flowsmith.plan_entries(plan) entry
  join pgflow.flows f on f.flow_slug = entry.flow_slug
  where entry.action = 'put'
    and not exists (select 1 from flowsmith.flow_versions v where v.flow_slug = f.flow_slug)
    and exists (select 1 from pgflow.runs r where r.flow_slug = f.flow_slug);

  -- end_migration sets the final states. Until then a new version is not current.
  insert into flowsmith.flow_versions as v (flow, version, flow_slug, state, digest, definition, migration)
  select entry.flow, entry.version, entry.flow_slug, 'draining', entry.digest, entry.definition,
         record_definitions.version
  from flowsmith.plan_entries(plan) entry
  where entry.action = 'put'
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
create or replace function flowsmith.begin_migration(version text, name text, plan jsonb) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  applied_name text;
begin
  perform pg_catalog.pg_advisory_xact_lock(flowsmith.lock_key());
  select m.name into applied_name from flowsmith.migrations m where m.version = begin_migration.version;
  if found and applied_name <> begin_migration.name then
    raise exception 'flowsmith: version % is already used by another migration, %', begin_migration.version, applied_name
      using errcode = 'FL004', hint = 'Two branches were compiled in the same second: delete one of the two files, run `flowsmith compile --rehash`, and compile it again.';
  elsif found then
    raise notice 'flowsmith: migration % is already applied, skipping', begin_migration.version;
    return false;
  end if;
  perform flowsmith.check_plan_requirements(begin_migration.version, plan);
  perform flowsmith.check_plan_conflicts(begin_migration.version, plan);
  perform flowsmith.record_definitions(begin_migration.version, plan);
  return true;
end
$$;

-- Creates all flows of the plan that have no steps yet, and missing queues. One statement inserts the steps of all flows,
-- which is four times as fast as calling `pgflow.add_step` for each. Works in flowsmith's own engine only, because it
-- writes to the engine's tables; otherwise returns false, and the migration calls the engine's functions.
create or replace function flowsmith.create_flows(plan jsonb) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
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
  select array_agg(entry.flow_slug),
         array_agg(entry.flow_slug) filter (
           where not exists (select 1 from pgflow.steps s where s.flow_slug = entry.flow_slug offset 0))
    into planned_slugs, new_slugs
  from flowsmith.plan_entries(plan) entry where entry.action = 'put';

  perform pgflow.create_flow(
    v.flow_slug,
    max_attempts => (v.definition #>> '{options,max_attempts}')::int,
    base_delay => (v.definition #>> '{options,base_delay}')::int,
    timeout => (v.definition #>> '{options,timeout}')::int)
  from flowsmith.flow_versions v
  where v.flow_slug = any (new_slugs)
    or v.flow_slug = any (planned_slugs)
      and not exists (select 1 from pgmq.meta queue where queue.queue_name = v.flow_slug offset 0);
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

-- Sets the states that the plan of a migration gives to flow versions. Other versions of a flow that gets a new current
-- version become draining first: at most one version can be current at any time, even if the migration that retires the
-- other one has not run yet (one compilation can write several files).
create or replace function flowsmith.set_states(version text, plan jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update flowsmith.flow_versions v
  set state = case when v.version = entry.version then entry.state else 'draining' end,
      migration = set_states.version, updated_at = clock_timestamp()
  from flowsmith.plan_entries(plan) entry
  where entry.action <> 'drop' and v.flow = entry.flow
    and (v.version = entry.version and entry.state <> 'current'
      or v.version <> entry.version and entry.state = 'current' and v.state = 'current');
  update flowsmith.flow_versions v
  set state = entry.state, migration = set_states.version, updated_at = clock_timestamp()
  from flowsmith.plan_entries(plan) entry
  where entry.action <> 'drop' and v.flow = entry.flow and v.version = entry.version and entry.state = 'current';
end
$$;

-- Ends a migration; takes the same arguments as begin_migration. Raises an error if the actual definitions differ from
-- the expected ones.
create or replace function flowsmith.end_migration(version text, name text, plan jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  changed_slugs constant text[] := array(
    select v.flow_slug from flowsmith.flow_versions v where v.migration = end_migration.version);
  differences text;
begin
  if not flowsmith.flows_match(changed_slugs) then
    select string_agg(format('%s: %s', d.flow_slug, d.difference), e'\n' order by d.flow_slug, d.difference)
      into differences
    from (select all_differences.* from flowsmith.flow_differences(changed_slugs) all_differences limit 20) d;
    raise exception e'flowsmith: after migration % the database does not match the expected definitions:\n%',
        end_migration.version, differences
      using errcode = 'FL003', hint = 'The flow already exists with another definition. Raise `version:` in the flow file, or run `flowsmith pull` to adopt the existing definition.';
  end if;

  delete from flowsmith.flow_versions v
  using flowsmith.plan_entries(plan) entry
  where entry.action = 'drop' and v.flow = entry.flow and v.version = entry.version;
  perform flowsmith.set_states(end_migration.version, plan);

  insert into flowsmith.migrations (version, name) values (end_migration.version, end_migration.name);
  insert into flowsmith.events (kind, detail)
  values ('migrated', jsonb_build_object('version', end_migration.version, 'name', end_migration.name));
end
$$;

