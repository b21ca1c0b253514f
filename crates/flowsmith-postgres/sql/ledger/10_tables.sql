-- --- Tables -----------------------------------------------------------------------------------------------------------

create table if not exists flowsmith.migrations (
  version text primary key check (version ~ '^[0-9]{14}$'),
  name text not null,
  checksum text check (checksum ~ '^[0-9a-f]{64}$'),
  applied_at timestamptz not null default clock_timestamp(),
  applied_by text not null default session_user,
  duration_ms bigint check (duration_ms >= 0),
  tool_version text,
  plan text,
  transaction xid8 default pg_current_xact_id()
);
comment on table flowsmith.migrations is 'applied migrations';
comment on column flowsmith.migrations.version is 'UTC timestamp at the start of the file name';
comment on column flowsmith.migrations.checksum is 'SHA-256 of the file; null if it was not applied by flowsmith';
comment on column flowsmith.migrations.plan is 'machine part of the file, from which the whole file can be written again';
comment on column flowsmith.migrations.transaction is 'transaction that applied the migration; only it can add checksum and duration';

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
comment on table flowsmith.flow_versions is 'versions of flows with their recorded definitions';
comment on column flowsmith.flow_versions.flow_slug is 'slug in pgflow.flows: the flow''s own slug for version 1, <flow>_v<n> for version n';
comment on column flowsmith.flow_versions.migration is 'version of the migration that last changed the row';
create unique index if not exists flow_versions_one_current on flowsmith.flow_versions (flow) where state = 'current';

create table if not exists flowsmith.triggers (
  flow text not null,
  name text not null,
  kind text not null check (kind in ('cron', 'table', 'queue')),
  definition jsonb not null,
  scheduled boolean not null default false check (kind = 'cron' or not scheduled),
  since timestamptz not null default clock_timestamp(),
  function_owner text,
  uses jsonb not null default '{}',
  primary key (flow, name)
);
comment on table flowsmith.triggers is 'registered triggers: those of current flow versions';
comment on column flowsmith.triggers.scheduled is 'whether pg_cron runs the schedule; otherwise workers do';
comment on column flowsmith.triggers.since is 'when the trigger got its present source; a schedule has no firings before that';
comment on column flowsmith.triggers.function_owner is 'owner of the trigger''s function, with whose privileges the expressions run';
comment on column flowsmith.triggers.uses is 'objects that the expressions named when the trigger was created: name and kind, or name and type of a column';

create table if not exists flowsmith.firings (
  flow text not null,
  name text not null,
  planned_at timestamptz not null,
  fired_at timestamptz not null default clock_timestamp(),
  run_id uuid,
  primary key (flow, name, planned_at)
);
comment on table flowsmith.firings is 'firings of schedules that workers run; one row for each planned time, so that a time starts one run';

create table if not exists flowsmith.consumed_events (
  flow text not null,
  name text not null,
  queue text not null,
  event_id bigint not null,
  batch_id bigint,
  consumed_at timestamptz not null default clock_timestamp(),
  run_id uuid,
  primary key (flow, name, queue, event_id)
);
comment on table flowsmith.consumed_events is 'consumed queue events; one row for each event, so that an event starts one run';
comment on column flowsmith.consumed_events.queue is 'kind, name and table OID of the queue: event ids are unique within a queue only, and a new queue can reuse a name';
comment on column flowsmith.consumed_events.batch_id is 'PgQ batch; null for pgmq';
comment on column flowsmith.consumed_events.run_id is 'null if the event was discarded: see flowsmith.events';
create index if not exists consumed_events_by_batch on flowsmith.consumed_events (flow, name, batch_id);

create table if not exists flowsmith.worker_locks (
  name text primary key
);
comment on table flowsmith.worker_locks is 'rows that workers lock by try_worker_lock: an advisory lock could be held by any role';

create table if not exists flowsmith.events (
  id bigint generated always as identity primary key,
  happened_at timestamptz not null default clock_timestamp(),
  actor text not null default session_user,
  kind text not null,
  detail jsonb not null default '{}'
);
comment on table flowsmith.events is 'audit trail; append-only';

-- Finds why a run was cancelled and when it was retried. The index includes the id because a scan of the events in
-- descending order of id is otherwise the plan for `order by id desc limit 1`.
create index if not exists events_by_run on flowsmith.events ((detail ->> 'run_id'), id)
  where kind in ('run-cancelled', 'run-retried');

create or replace function flowsmith.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'flowsmith.% is append-only', tg_table_name using errcode = 'FL002';
end
$$;

-- The owner cannot change or delete events either.
create or replace trigger events_append_only before update or delete or truncate on flowsmith.events
  for each statement execute function flowsmith.refuse_change();

-- One row, whose lock serializes installs and migrations. No role but the owner has any privilege on the table, so that
-- nobody can hold the lock who cannot call acquire_lock.
create table if not exists flowsmith.apply_lock (
  id boolean primary key default true check (id),
  transaction xid8,
  plan bytea
);
comment on table flowsmith.apply_lock is 'its only row is locked by the transaction that applies a migration';
comment on column flowsmith.apply_lock.transaction is 'transaction that has begun a migration';
comment on column flowsmith.apply_lock.plan is 'SHA-256 of the plan of that migration';

-- Locks that row until the transaction ends. Waits for at most the caller's lock_timeout. A restored database can lack the
-- row.
create or replace function flowsmith.acquire_lock() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from flowsmith.apply_lock for update;
  if not found then
    insert into flowsmith.apply_lock default values on conflict do nothing;
    perform from flowsmith.apply_lock for update;
  end if;
end
$$;

-- Returns the session that holds the lock, and since when its transaction runs. No row if nobody holds it. Whoever waits for
-- the lock holds or awaits the lock of the tuple.
create or replace function flowsmith.lock_holder() returns table (
  pid int, role text, application_name text, address text, transaction_start text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select session.pid, coalesce(session.usename, ''), coalesce(session.application_name, ''),
         coalesce(host(session.client_addr), case when session.xact_start is null then 'unknown' else 'local' end),
         to_char(session.xact_start at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  from pg_locks relation
  join pg_stat_activity session using (pid)
  where relation.locktype = 'relation' and relation.granted and relation.relation = 'flowsmith.apply_lock'::regclass
    and relation.database = (select d.oid from pg_database d where d.datname = current_database())
    and relation.mode = 'RowShareLock' and relation.pid <> pg_backend_pid()
    and not exists (
      select from pg_locks tuple
      where tuple.pid = relation.pid and tuple.locktype = 'tuple' and tuple.relation = relation.relation)
  limit 1
$$;

