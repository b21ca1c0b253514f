
-- --- Audit trail ------------------------------------------------------------------------------------------------------
--
-- No role but the owner can write to flowsmith.migrations and flowsmith.events. These functions add to them what a command
-- did, with the role that is logged in as the actor.

-- Adds the checksum of its file and its duration to a migration that the same transaction has applied. Returns whether it
-- has.
create or replace function flowsmith.record_migration(version text, checksum text, duration_ms bigint, tool_version text)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update flowsmith.migrations m
  set checksum = record_migration.checksum, duration_ms = record_migration.duration_ms,
      tool_version = left(record_migration.tool_version, 100)
  where m.version = record_migration.version and m.transaction = pg_current_xact_id()
    -- A restored database can have rows of transactions with the same number.
    and m.applied_at >= transaction_timestamp();
  return found;
end
$$;

-- Records that a migration was applied although its file is not as its plan renders it.
create or replace function flowsmith.record_edited_migration(version text, difference text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (
    select from flowsmith.migrations m
    where m.version = record_edited_migration.version and m.transaction = pg_current_xact_id()
      and m.applied_at >= transaction_timestamp()
  ) then
    raise exception 'flowsmith: this transaction has not applied migration %', record_edited_migration.version
      using errcode = 'FL004';
  end if;
  insert into flowsmith.events (kind, detail)
  values ('edited-migration-applied', jsonb_build_object(
    'version', record_edited_migration.version, 'difference', left(record_edited_migration.difference, 1000)));
end
$$;

-- Records that drift was accepted: the flows that differ, and a description of each difference.
create or replace function flowsmith.record_accepted_drift(flows text[], differences text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into flowsmith.events (kind, detail)
  values ('drift-accepted', jsonb_build_object(
    'flows', record_accepted_drift.flows, 'differences', record_accepted_drift.differences));
end
$$;

-- Records that a run was cancelled, when and why, if this transaction cancelled it.
create or replace function flowsmith.record_cancelled_run(run_id uuid, reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into flowsmith.events (kind, detail)
  select 'run-cancelled', jsonb_build_object(
    'run_id', r.run_id, 'flow_slug', r.flow_slug, 'failed_at', r.failed_at, 'reason', record_cancelled_run.reason)
  from pgflow.runs r
  where r.run_id = record_cancelled_run.run_id and r.xmin = pg_current_xact_id()::xid;
end
$$;

-- Records that a run was retried, if this transaction retried it.
create or replace function flowsmith.record_retried_run(run_id uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into flowsmith.events (kind, detail)
  select 'run-retried', jsonb_build_object('run_id', r.run_id, 'flow_slug', r.flow_slug)
  from pgflow.runs r
  where r.run_id = record_retried_run.run_id and r.xmin = pg_current_xact_id()::xid;
end
$$;

-- Records that flow versions are paused or resumed, before it is done: those whose state this changes.
create or replace function flowsmith.record_pause(flow_slugs text[], is_paused boolean) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into flowsmith.events (kind, detail)
  select case when record_pause.is_paused then 'flow-paused' else 'flow-resumed' end,
         jsonb_build_object('flow_slug', f.flow_slug)
  from pgflow.flows f
  where f.flow_slug = any (record_pause.flow_slugs)
    and record_pause.is_paused
      <> exists (select from pgflow.paused_flows paused where paused.flow_slug = f.flow_slug);
end
$$;

-- Records how many finished runs were deleted; `flow_slugs` is null if they were of all flows.
create or replace function flowsmith.record_pruned_runs(older_than_seconds double precision, runs bigint, flow_slugs text[])
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into flowsmith.events (kind, detail)
  select 'runs-pruned', jsonb_build_object(
    'older_than_seconds', record_pruned_runs.older_than_seconds, 'runs', record_pruned_runs.runs,
    'flow_slugs', record_pruned_runs.flow_slugs)
  where record_pruned_runs.runs > 0;
end
$$;

-- With flowsmith's engine, these functions run with the privileges of their owner, so that a role which may call them needs no
-- privileges on tables. An official engine can have another owner, whose code they must not run.
do $$
begin
  if pg_catalog.to_regclass('flowsmith.engine') is not null then
    alter function flowsmith.begin_migration(text) security definer;
    alter function flowsmith.create_flows(text) security definer;
    alter function flowsmith.reset_flows(text) security definer;
    alter function flowsmith.drop_flows(text) security definer;
    alter function flowsmith.tune_flows(text) security definer;
    alter function flowsmith.end_migration(text) security definer;
    alter function flowsmith.record_cancelled_run(uuid, text) security definer;
    alter function flowsmith.record_retried_run(uuid) security definer;
    alter function flowsmith.record_pause(text[], boolean) security definer;
  end if;
end
$$;
