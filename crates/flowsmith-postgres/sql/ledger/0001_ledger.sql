-- The flowsmith schema, version 1: what flowsmith knows of a database.
--
--   migrations      one row a migration that ran here: the ledger
--   events          what was done here and by whom; rows are only ever added
--   flow_versions   which version of each flow is current, and the definition that was meant
--
-- and the functions that a migration calls:
--
--   begin_migration → drop_flow, reset_flow → create_flows, or else pgflow.create_flow and pgflow.add_step → updates
--     → end_migration
--
-- `begin_migration` takes the lock, checks the engine and stores what is meant; `create_flows` makes what is new at once
-- where the engine is flowsmith's own; `end_migration` compares what is meant with what the database now holds, raises
-- where they differ, and writes the ledger row. All in the caller's transaction: whatever
-- raises leaves nothing behind.
--
-- Lock order, always the same: the advisory lock, flow_versions, pgflow.runs (table), pgflow.flows (row), pgflow.steps,
-- pgflow.deps.
--
-- SQLSTATEs raised here: FL001 the engine is missing or lacks a feature; FL002 refused by a safety guard; FL003 the
-- database does not hold what was meant; FL004 a malformed or conflicting migration.
--
-- Runs on PostgreSQL 14 to 18. Idempotent.

create schema if not exists flowsmith;
comment on schema flowsmith is 'flowsmith: ledger of migrations, current flow versions';
revoke all on schema flowsmith from public;

create table if not exists flowsmith.migrations (
  version text primary key check (version ~ '^[0-9]{14}$'),
  name text not null,
  checksum text check (checksum ~ '^[0-9a-f]{64}$'),
  applied_at timestamptz not null default clock_timestamp(),
  applied_by text not null default session_user,
  duration_ms bigint check (duration_ms >= 0),
  tool_version text
);
comment on column flowsmith.migrations.version is 'UTC timestamp that the file''s name starts with';
comment on column flowsmith.migrations.checksum is 'SHA-256 of the file; null where another tool than flowsmith ran it';

create table if not exists flowsmith.events (
  id bigint generated always as identity primary key,
  happened_at timestamptz not null default clock_timestamp(),
  actor text not null default session_user,
  kind text not null,
  detail jsonb not null default '{}'
);

create table if not exists flowsmith.flow_versions (
  flow text not null,
  version int not null check (version >= 1),
  flow_slug text not null unique,
  state text not null check (state in ('current', 'draining', 'retired')),
  digest text not null check (digest ~ '^[0-9a-f]{64}$'),
  definition jsonb not null,
  migration text not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (flow, version)
);
comment on column flowsmith.flow_versions.flow_slug is 'the slug in pgflow.flows: the flow''s own for version 1, with _v<n> behind it for version n';
comment on column flowsmith.flow_versions.migration is 'version of the migration that last touched it';
create unique index if not exists flow_versions_one_current on flowsmith.flow_versions (flow) where state = 'current';

-- events is append-only, also for its owner.
create or replace function flowsmith.refuse_change() returns trigger
language plpgsql set search_path = '' as $$
begin
  raise exception 'flowsmith.% is append-only', tg_table_name using errcode = 'FL002';
end
$$;

do $$
begin
  if not exists (select 1 from pg_catalog.pg_trigger where tgname = 'events_append_only' and tgrelid = 'flowsmith.events'::regclass) then
    create trigger events_append_only before update or delete or truncate on flowsmith.events
      for each statement execute function flowsmith.refuse_change();
  end if;
end
$$;

-- The advisory lock that everything which writes takes; the bytes of 'flowsmit'. Released with the transaction.
create or replace function flowsmith.lock_key() returns bigint
language sql immutable parallel safe set search_path = '' as $$ select 7380396448181741940::bigint $$;

-- Slug in the database of a flow's version.
create or replace function flowsmith.database_slug(flow text, version int) returns text
language sql immutable parallel safe set search_path = '' as $$
  select case when version = 1 then flow else flow || '_v' || version end
$$;

-- Whether the engine has conditions and skip modes (level 0.14), by what its tables have.
create or replace function flowsmith.has_conditions() returns boolean
language sql stable set search_path = '' as $$
  select exists (
    select 1 from pg_catalog.pg_attribute
    where attrelid = pg_catalog.to_regclass('pgflow.steps') and attname = 'required_input_pattern' and not attisdropped
  )
$$;

-- How the flows named differ from the definitions recorded for them: one row a difference, none where all is as meant.
-- Rows are read as JSON, so that one query serves engines with and without the columns of level 0.14.
create or replace function flowsmith.differences(flow_slugs text[]) returns table (flow_slug text, difference text)
language sql stable set search_path = '' as $$
  with meant as (
    select v.flow_slug, v.definition from flowsmith.flow_versions v where v.flow_slug = any (differences.flow_slugs)
  ),
  meant_flow as (
    select m.flow_slug, jsonb_build_object(
      'max_attempts', coalesce((m.definition #>> '{options,max_attempts}')::int, 3),
      'base_delay', coalesce((m.definition #>> '{options,base_delay}')::int, 5),
      'timeout', coalesce((m.definition #>> '{options,timeout}')::int, 60)) as value
    from meant m
  ),
  held_flow as (
    select f.flow_slug, jsonb_build_object(
      'max_attempts', f.opt_max_attempts, 'base_delay', f.opt_base_delay, 'timeout', f.opt_timeout) as value
    from pgflow.flows f join meant m using (flow_slug)
  ),
  meant_step as (
    select m.flow_slug, s.value ->> 'slug' as step_slug, jsonb_build_object(
      'position', s.ordinality,
      'kind', coalesce(s.value ->> 'kind', 'single'),
      'depends_on', coalesce(s.value -> 'depends_on', '[]'),
      'max_attempts', s.value -> 'max_attempts',
      'base_delay', s.value -> 'base_delay',
      'timeout', s.value -> 'timeout',
      'start_delay', s.value -> 'start_delay',
      'required_input_pattern', s.value -> 'required_input_pattern',
      'forbidden_input_pattern', s.value -> 'forbidden_input_pattern',
      'when_unmet', coalesce(s.value ->> 'when_unmet', 'skip'),
      'when_exhausted', coalesce(s.value ->> 'when_exhausted', 'fail')) as value
    from meant m, jsonb_array_elements(m.definition -> 'steps') with ordinality s
  ),
  held_deps as (
    select d.flow_slug, d.step_slug, jsonb_agg(d.dep_slug order by d.dep_slug collate "C") as depends_on
    from pgflow.deps d join meant m using (flow_slug) group by d.flow_slug, d.step_slug
  ),
  held_row as (
    select s.flow_slug, s.step_slug, s.step_index, to_jsonb(s) as r
    from pgflow.steps s join meant m using (flow_slug)
  ),
  held_step as (
    select h.flow_slug, h.step_slug, jsonb_build_object(
      'position', row_number() over (partition by h.flow_slug order by h.step_index),
      'kind', r ->> 'step_type',
      'depends_on', coalesce(d.depends_on, '[]'),
      'max_attempts', r -> 'opt_max_attempts',
      'base_delay', r -> 'opt_base_delay',
      'timeout', r -> 'opt_timeout',
      'start_delay', r -> 'opt_start_delay',
      'required_input_pattern', r -> 'required_input_pattern',
      'forbidden_input_pattern', r -> 'forbidden_input_pattern',
      'when_unmet', coalesce(r ->> 'when_unmet', 'skip'),
      'when_exhausted', coalesce(r ->> 'when_exhausted', 'fail')) as value
    from held_row h left join held_deps d using (flow_slug, step_slug)
  )
  select m.flow_slug, case when h.flow_slug is null then 'is missing'
    else (select string_agg(format('%s is %s, meant %s', e.key, h.value -> e.key, e.value), '; ')
          from jsonb_each(m.value) e where e.value is distinct from h.value -> e.key) end
  from meant_flow m left join held_flow h using (flow_slug)
  where m.value is distinct from h.value
  union all
  select m.flow_slug, format('step %s ', m.step_slug) || case when h.step_slug is null then 'is missing'
    else (select string_agg(format('%s is %s, meant %s', e.key, h.value -> e.key, e.value), '; ')
          from jsonb_each(m.value) e
          where nullif(e.value, 'null') is distinct from nullif(h.value -> e.key, 'null')) end
  from meant_step m left join held_step h using (flow_slug, step_slug)
  where h.value is null or m.value <> h.value
  union all
  select h.flow_slug, format('step %s is not meant to be there', h.step_slug)
  from held_step h left join meant_step m using (flow_slug, step_slug)
  where m.step_slug is null
$$;

-- Whether the flows named are as recorded: the same question as `differences`, answered with typed rows, which is seven
-- times faster and cannot say what is wrong. Looks at these flows only, however many there are (`offset 0` keeps the
-- planner from reading whole tables that it has no statistics of yet).
create or replace function flowsmith.hold(flow_slugs text[]) returns boolean
language plpgsql stable set search_path = '' as $$
declare
  -- The columns of level 0.14, or what their absence means.
  conditions constant text := case
    when flowsmith.has_conditions() then
      's.required_input_pattern, s.forbidden_input_pattern, s.when_unmet, s.when_exhausted'
    else 'null::jsonb, null::jsonb, ''skip''::text, ''fail''::text' end;
  steps_differ boolean;
begin
  if exists (
    select v.flow_slug, coalesce((v.definition #>> '{options,max_attempts}')::int, 3),
           coalesce((v.definition #>> '{options,base_delay}')::int, 5), coalesce((v.definition #>> '{options,timeout}')::int, 60)
    from flowsmith.flow_versions v where v.flow_slug = any (hold.flow_slugs)
    except
    select f.flow_slug, f.opt_max_attempts, f.opt_base_delay, f.opt_timeout
    from pgflow.flows f where f.flow_slug = any (hold.flow_slugs)
  ) then
    return false;
  end if;
  execute format($query$
    with meant as (select * from flowsmith.meant_steps($1)),
    held as (
      select f.slug, s.*
      from unnest($1) f (slug) cross join lateral (
        select s.step_slug, row_number() over (order by s.step_index), s.step_type,
               array(select d.dep_slug from pgflow.deps d where d.flow_slug = f.slug and d.step_slug = s.step_slug
                     order by d.dep_slug collate "C"),
               s.opt_max_attempts, s.opt_base_delay, s.opt_timeout, s.opt_start_delay, %s
        from pgflow.steps s where s.flow_slug = f.slug offset 0
      ) s
    )
    select exists ((select * from meant except all select * from held) union all (select * from held except all select * from meant))
  $query$, conditions) into steps_differ using flow_slugs;
  return not steps_differ;
end
$$;

-- The steps that the recorded definitions mean.
create or replace function flowsmith.meant_steps(flow_slugs text[]) returns table (
  flow_slug text, step_slug text, place bigint, kind text, depends_on text[],
  max_attempts int, base_delay int, timeout int, start_delay int,
  required_input_pattern jsonb, forbidden_input_pattern jsonb, when_unmet text, when_exhausted text)
language sql stable set search_path = '' as $$
  select v.flow_slug, s.slug, e.ordinality, coalesce(s.kind, 'single'), coalesce(s.depends_on, '{}'),
         s.max_attempts, s.base_delay, s.timeout, s.start_delay,
         s.required_input_pattern, s.forbidden_input_pattern, coalesce(s.when_unmet, 'skip'), coalesce(s.when_exhausted, 'fail')
  from flowsmith.flow_versions v, jsonb_array_elements(v.definition -> 'steps') with ordinality e,
       jsonb_to_record(e.value) as s (
         slug text, kind text, depends_on text[], max_attempts int, base_delay int, timeout int, start_delay int,
         required_input_pattern jsonb, forbidden_input_pattern jsonb, when_unmet text, when_exhausted text)
  where v.flow_slug = any (meant_steps.flow_slugs)
$$;

-- First call of a migration. Returns false where this migration is applied already: the rest of it is then left out, so
-- that running a file twice, or an old file after a newer one, changes nothing.
--   plan: {"format": 1, "engine": level, "entries": [{"do": "put", "state", "digest", "definition"} |
--          {"do": "state", "flow", "version", "state"} | {"do": "drop", "flow", "version"}]}
create or replace function flowsmith.begin_migration(version text, name text, plan jsonb) returns boolean
language plpgsql set search_path = '' as $$
declare
  conflict record;
  strangers text[];
begin
  perform pg_catalog.pg_advisory_xact_lock(flowsmith.lock_key());
  select m.name into conflict from flowsmith.migrations m where m.version = begin_migration.version;
  if found and conflict.name <> begin_migration.name then
    raise exception 'flowsmith: version % is taken here by another migration, %', begin_migration.version, conflict.name
      using errcode = 'FL004', hint = 'Two branches compiled in the same second: delete one of the two files, run `flowsmith compile --rehash`, and compile it again.';
  elsif found then
    raise notice 'flowsmith: migration % is already applied, nothing to do', begin_migration.version;
    return false;
  end if;
  if plan ->> 'format' is distinct from '1' then
    raise exception 'flowsmith: migration % has format %, this database knows format 1', begin_migration.version, plan ->> 'format'
      using errcode = 'FL004', hint = 'Run `flowsmith install` of a newer flowsmith first.';
  end if;
  if pg_catalog.to_regclass('pgflow.flows') is null then
    raise exception 'flowsmith: there is no workflow engine in this database (schema pgflow)'
      using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if plan ->> 'engine' = '0.14' and not flowsmith.has_conditions() then
    raise exception 'flowsmith: migration % uses conditions or skip modes, which this engine does not have', begin_migration.version
      using errcode = 'FL001', hint = 'They need engine level 0.14: upgrade the engine, or leave `if`, `if_not`, `when_unmet` and `when_exhausted` out.';
  end if;

  select e ->> 'flow' as flow, e ->> 'version' as version into conflict
  from jsonb_array_elements(plan -> 'entries') e
  where e ->> 'do' <> 'put' and not exists (
    select 1 from flowsmith.flow_versions v where v.flow = e ->> 'flow' and v.version = (e ->> 'version')::int)
  limit 1;
  if found then
    raise exception 'flowsmith: migration % changes flow %@%, which no migration has brought here', begin_migration.version, conflict.flow, conflict.version
      using errcode = 'FL004', hint = 'Run the migrations in their order.';
  end if;
  select v.flow, v.version, v.migration into conflict
  from jsonb_array_elements(plan -> 'entries') e
  join flowsmith.flow_versions v
    on v.flow = coalesce(e #>> '{definition,flow}', e ->> 'flow')
    and v.version = coalesce(e #>> '{definition,version}', e ->> 'version')::int
  where v.migration > begin_migration.version
  limit 1;
  if found then
    raise exception 'flowsmith: migration % is older than %, which has changed flow %@% already',
        begin_migration.version, conflict.migration, conflict.flow, conflict.version
      using errcode = 'FL002', hint = 'Compile it again, so that it comes after.';
  end if;
  select v.flow, v.version, v.flow_slug into conflict
  from jsonb_array_elements(plan -> 'entries') e
  join flowsmith.flow_versions v
    on v.flow_slug = flowsmith.database_slug(e #>> '{definition,flow}', (e #>> '{definition,version}')::int)
    and (v.flow, v.version) is distinct from (e #>> '{definition,flow}', (e #>> '{definition,version}')::int)
  where e ->> 'do' = 'put'
  limit 1;
  if found then
    raise exception 'flowsmith: the database flow % is flow %@% already', conflict.flow_slug, conflict.flow, conflict.version
      using errcode = 'FL002', hint = 'Give the flow another slug.';
  end if;

  -- A flow of that slug that someone else made, with runs: its steps must not change under them.
  select array_agg(f.flow_slug) into strangers
  from jsonb_array_elements(plan -> 'entries') e
  join pgflow.flows f on f.flow_slug = flowsmith.database_slug(e #>> '{definition,flow}', (e #>> '{definition,version}')::int)
  where e ->> 'do' = 'put'
    and not exists (select 1 from flowsmith.flow_versions v where v.flow_slug = f.flow_slug)
    and exists (select 1 from pgflow.runs r where r.flow_slug = f.flow_slug);

  -- States are set at the end; until then a new version is no one's current one.
  insert into flowsmith.flow_versions as v (flow, version, flow_slug, state, digest, definition, migration)
  select d ->> 'flow', (d ->> 'version')::int, flowsmith.database_slug(d ->> 'flow', (d ->> 'version')::int),
         'draining', e ->> 'digest', d, begin_migration.version
  from jsonb_array_elements(plan -> 'entries') e, lateral (select e -> 'definition') as definition (d)
  where e ->> 'do' = 'put'
  on conflict on constraint flow_versions_pkey do update
    set digest = excluded.digest, definition = excluded.definition, migration = excluded.migration, updated_at = clock_timestamp();
  if strangers is not null and not flowsmith.hold(strangers) then
    raise exception 'flowsmith: another definition with runs stands under the slug of %', array_to_string(strangers, ', ')
      using errcode = 'FL002', hint = 'Raise `version:` in the flow''s file, or `flowsmith pull` what is there.';
  end if;
  return true;
end
$$;

-- Makes every flow of the plan that has no step yet, and every queue that is missing, set-based: one statement inserts the steps of them all, where
-- `pgflow.add_step` takes one each and four times as long. Only in flowsmith's own engine, whose tables are ours to
-- write; returns false in any other, and the migration then makes its calls.
create or replace function flowsmith.create_flows(plan jsonb) returns boolean
language plpgsql set search_path = '' as $$
declare
  planned   text[];
  new_flows text[];
begin
  if pg_catalog.to_regclass('flowsmith.engine') is null then
    return false;
  end if;
  -- A statement of its own: where there is no such table, it must not even be planned.
  if not exists (select 1 from flowsmith.engine) then
    return false;
  end if;
  select array_agg(n.flow_slug),
         array_agg(n.flow_slug) filter (where not exists (select 1 from pgflow.steps s where s.flow_slug = n.flow_slug offset 0))
    into planned, new_flows
  from (
    select flowsmith.database_slug(e #>> '{definition,flow}', (e #>> '{definition,version}')::int) as flow_slug
    from jsonb_array_elements(plan -> 'entries') e where e ->> 'do' = 'put'
  ) n;

  perform pgflow.create_flow(
    v.flow_slug,
    max_attempts => (v.definition #>> '{options,max_attempts}')::int,
    base_delay => (v.definition #>> '{options,base_delay}')::int,
    timeout => (v.definition #>> '{options,timeout}')::int)
  from flowsmith.flow_versions v
  where v.flow_slug = any (new_flows)
    or v.flow_slug = any (planned) and not exists (select 1 from pgmq.meta q where q.queue_name = v.flow_slug offset 0);
  -- As add_step does: whoever else adds steps to one of these flows waits.
  perform 1 from pgflow.flows f where f.flow_slug = any (new_flows) order by f.flow_slug for no key update;
  insert into pgflow.steps (
    flow_slug, step_slug, step_index, step_type, deps_count, opt_max_attempts, opt_base_delay, opt_timeout, opt_start_delay,
    required_input_pattern, forbidden_input_pattern, when_unmet, when_exhausted)
  select m.flow_slug, m.step_slug, m.place - 1, m.kind, cardinality(m.depends_on), m.max_attempts, m.base_delay, m.timeout,
         m.start_delay, m.required_input_pattern, m.forbidden_input_pattern, m.when_unmet, m.when_exhausted
  from flowsmith.meant_steps(new_flows) m;
  insert into pgflow.deps (flow_slug, dep_slug, step_slug)
  select m.flow_slug, dep_slug, m.step_slug
  from flowsmith.meant_steps(new_flows) m, unnest(m.depends_on) dep_slug;
  return true;
end
$$;

-- The state that a migration's plan gives to each flow version it names.
create or replace function flowsmith.planned_states(plan jsonb) returns table (flow text, version int, state text)
language sql immutable set search_path = '' as $$
  select coalesce(e #>> '{definition,flow}', e ->> 'flow'), coalesce(e #>> '{definition,version}', e ->> 'version')::int,
         e ->> 'state'
  from jsonb_array_elements(plan -> 'entries') e where e ->> 'do' <> 'drop'
$$;

-- Last call of a migration: the same arguments as the first. Raises where the database does not hold what is meant.
create or replace function flowsmith.end_migration(version text, name text, plan jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  meant constant text[] := array(select v.flow_slug from flowsmith.flow_versions v where v.migration = end_migration.version);
  wrong text;
begin
  if not flowsmith.hold(meant) then
    select string_agg(format('%s: %s', d.flow_slug, d.difference), e'\n' order by d.flow_slug, d.difference) into wrong
    from (select x.flow_slug, x.difference from flowsmith.differences(meant) x limit 20) d;
    raise exception e'flowsmith: after migration % the database does not hold what is meant:\n%', end_migration.version, wrong
      using errcode = 'FL003', hint = 'Another definition stands under that slug. Raise `version:` in the flow''s file, or `flowsmith pull` what is there.';
  end if;

  delete from flowsmith.flow_versions v
  using jsonb_array_elements(plan -> 'entries') e
  where e ->> 'do' = 'drop' and v.flow = e ->> 'flow' and v.version = (e ->> 'version')::int;

  -- Versions that step down first: only one may be current at any moment, also where the migration that takes the
  -- other one down is still to come (one compilation may have been written as several files).
  update flowsmith.flow_versions v
  set state = case when v.version = s.version then s.state else 'draining' end,
      migration = end_migration.version, updated_at = clock_timestamp()
  from flowsmith.planned_states(plan) s
  where v.flow = s.flow
    and (v.version = s.version and s.state <> 'current'
      or v.version <> s.version and s.state = 'current' and v.state = 'current');
  update flowsmith.flow_versions v set state = s.state, migration = end_migration.version, updated_at = clock_timestamp()
  from flowsmith.planned_states(plan) s
  where v.flow = s.flow and v.version = s.version and s.state = 'current';

  insert into flowsmith.migrations (version, name) values (end_migration.version, end_migration.name);
  insert into flowsmith.events (kind, detail)
  values ('migrated', jsonb_build_object('version', end_migration.version, 'name', end_migration.name));
end
$$;

-- Takes away the steps of a flow whose shape changes, so that the calls that follow make them anew. Does nothing where
-- the flow is not there or is as meant already; refuses where it has any run, since a run has copied the steps it
-- started with. Whoever starts a run writes to pgflow.runs and so waits for the lock on that table until the migration
-- ends; it is taken before the flow's row, as a starter takes them in that order too.
create or replace function flowsmith.reset_flow(flow_slug text) returns void
language plpgsql set search_path = '' as $$
begin
  if flowsmith.hold(array[reset_flow.flow_slug]) then
    return;
  end if;
  lock table pgflow.runs in share row exclusive mode;
  perform 1 from pgflow.flows f where f.flow_slug = reset_flow.flow_slug for update;
  if not found then
    return;
  end if;
  if exists (select 1 from pgflow.runs r where r.flow_slug = reset_flow.flow_slug) then
    raise exception 'flowsmith: flow % has % run(s), its steps cannot be replaced', reset_flow.flow_slug,
        (select count(*) from pgflow.runs r where r.flow_slug = reset_flow.flow_slug)
      using errcode = 'FL002', hint = 'Raise `version:` in the flow''s file: the new version gets a queue of its own and the old one drains.';
  end if;
  delete from pgflow.deps d where d.flow_slug = reset_flow.flow_slug;
  delete from pgflow.steps s where s.flow_slug = reset_flow.flow_slug;
end
$$;

-- Deletes a flow with its queue and every run it had; refuses while one is started. Does nothing where it is not there.
create or replace function flowsmith.drop_flow(flow_slug text) returns void
language plpgsql set search_path = '' as $$
declare
  runs bigint;
begin
  lock table pgflow.runs in share row exclusive mode;
  perform 1 from pgflow.flows f where f.flow_slug = drop_flow.flow_slug for update;
  if not found then
    return;
  end if;
  select count(*) into runs from pgflow.runs r where r.flow_slug = drop_flow.flow_slug and r.status = 'started';
  if runs > 0 then
    raise exception 'flowsmith: flow % has % started run(s), it cannot be deleted', drop_flow.flow_slug, runs
      using errcode = 'FL002', hint = 'Wait until they end, or cancel them.';
  end if;
  perform pgmq.drop_queue(drop_flow.flow_slug) from pgmq.meta m where m.queue_name = drop_flow.flow_slug;
  -- By run, which is indexed; the slug is not.
  delete from pgflow.step_tasks t using pgflow.runs r where r.flow_slug = drop_flow.flow_slug and t.run_id = r.run_id;
  delete from pgflow.step_states s using pgflow.runs r where r.flow_slug = drop_flow.flow_slug and s.run_id = r.run_id;
  delete from pgflow.runs r where r.flow_slug = drop_flow.flow_slug;
  delete from pgflow.deps d where d.flow_slug = drop_flow.flow_slug;
  delete from pgflow.steps s where s.flow_slug = drop_flow.flow_slug;
  delete from pgflow.flows f where f.flow_slug = drop_flow.flow_slug;
end
$$;

-- Starts a run of a flow's current version, so that callers need not know which that is.
-- Raises where no version of the flow is current.
create or replace function flowsmith.start_flow(flow text, input jsonb, run_id uuid default null) returns setof pgflow.runs
language plpgsql set search_path = '' as $$
declare
  current_slug text;
begin
  select v.flow_slug into current_slug from flowsmith.flow_versions v where v.flow = start_flow.flow and v.state = 'current';
  if not found then
    raise exception 'flowsmith: flow % has no current version', start_flow.flow
      using errcode = 'FL002', hint = case
        when exists (select 1 from flowsmith.flow_versions v where v.flow = start_flow.flow) then 'It is retired.'
        else 'No migration has brought it.' end;
  end if;
  return query select * from pgflow.start_flow(current_slug, start_flow.input, start_flow.run_id);
end
$$;

revoke all on all functions in schema flowsmith from public;
