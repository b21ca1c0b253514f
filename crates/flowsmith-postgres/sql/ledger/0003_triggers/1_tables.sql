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
--   table    a trigger of that name on the table, and its function in the schema `flowsmith_triggers`; names of more than
--            63 bytes are cut, with a hash (`trigger_name`)
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
-- Also here: the index by which what was done to a run is found among the events.
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
  function_owner text,
  primary key (flow, name)
);
comment on table flowsmith.triggers is 'the triggers in force: those of current flow versions';
comment on column flowsmith.triggers.scheduled is 'pg_cron runs it; else the worker''s scheduler does';
comment on column flowsmith.triggers.function_owner is 'the role that the function of a table trigger was made for, whose rights it has';
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
  queue text not null,
  event_id bigint not null,
  batch_id bigint,
  taken_at timestamptz not null default clock_timestamp(),
  run_id uuid,
  primary key (flow, name, queue, event_id)
);
comment on table flowsmith.taken is 'events of queues that a run was started for; one row an event, so that none starts two';
comment on column flowsmith.taken.queue is 'kind, name and the oid of its table: numbers begin anew in another queue, and in one that is made anew';
comment on column flowsmith.taken.run_id is 'null where it was given up: see flowsmith.events';
comment on column flowsmith.taken.batch_id is 'PgQ''s batch; null for pgmq';
create index if not exists taken_by_batch on flowsmith.taken (flow, name, batch_id);
