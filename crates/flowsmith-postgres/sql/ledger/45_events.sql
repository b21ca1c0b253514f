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
