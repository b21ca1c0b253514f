{#- The whole installation as one script; src/engine/scripts.rs lists the parts. Each block first checks what is
    installed, so that the script can be run repeatedly, and records the part in the same transaction. The ledger comes
    last, because its functions read the engine's tables. -#}
-- flowsmith {{ tool_version }}: installs the schema `flowsmith` and, if the database has no workflow engine, the engine.
--
-- Run it in one transaction; it refuses to run otherwise:
--
--   psql -X -1 -v ON_ERROR_STOP=1 -f FILE DATABASE
--
-- Requires the privilege CREATE on the database, and pgmq 1.4.4 or later. To install pgmq, run
--   create extension pgmq;
-- or, if the server does not provide the extension, `flowsmith install`, which installs it as plain SQL.
--
-- The script can be run repeatedly: it does not change parts that are installed already. It never changes an engine that
-- was not installed by flowsmith.

{% include "begin_script.sql" %}
-- --- The lock: that of the ledger if this role owns it, otherwise an advisory lock. The wait is bounded.

do {{ outer }}
declare
  has_ledger   pg_catalog.bool;
  is_unbounded pg_catalog.bool;
  holder       pg_catalog.text;
begin
{% include "check_script.sql" %}
  has_ledger := exists (
    select from pg_catalog.pg_proc p
    where p.pronamespace = to_regnamespace('flowsmith') and p.proname = 'acquire_lock' and p.pronargs = 0
      and p.proowner = (select r.oid from pg_catalog.pg_roles r where r.rolname = current_user));
  is_unbounded := current_setting('lock_timeout') = '0';
  if is_unbounded then
    perform set_config('lock_timeout', '10s', true);
  end if;
  if has_ledger then
    perform flowsmith.acquire_lock();
  else
    perform pg_advisory_xact_lock({{ lock_key }});
  end if;
  if is_unbounded then
    perform set_config('lock_timeout', '0', true);
  end if;
exception when lock_not_available then
  if has_ledger then
    holder := (select pg_catalog.format('pid %s, %s, %s', h.pid, h.role, h.application_name) from flowsmith.lock_holder() h);
  else
    holder := (
      select pg_catalog.format('pid %s, %s, %s', session.pid, session.usename, session.application_name)
      from pg_catalog.pg_locks held join pg_catalog.pg_stat_activity session using (pid)
      where held.locktype = 'advisory' and held.granted and held.objsubid = 1
        and (held.classid::pg_catalog.int8 << 32) | held.objid::pg_catalog.int8 = {{ lock_key }}
        and held.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
      limit 1);
  end if;
  raise exception 'flowsmith: another session holds the lock: %', coalesce(holder, 'it has released it meanwhile')
    using errcode = 'lock_not_available', hint = 'Wait for that session to finish, or end it, then run this again.';
end
{{ outer }};

do {{ outer }}
begin
{% include "check_script.sql" %}
  if to_regnamespace('flowsmith') is null then
    create schema flowsmith;
    revoke all on schema flowsmith from public;
  end if;
  if to_regclass('flowsmith.ledger') is null then
    create table flowsmith.ledger (
      version      integer primary key,
      checksum     text not null,
      installed_at timestamptz not null default now(),
      installed_by text not null default current_user,
      tool_version text
    );
    comment on table flowsmith.ledger is 'installed scripts of the schema flowsmith';
  elsif to_regprocedure('flowsmith.start_flow(text,jsonb,uuid)') is null then
    -- `drop schema pgflow cascade` also drops start_flow. Without its functions the record is void, and every script runs
    -- again.
    delete from flowsmith.ledger;
  end if;
  if to_regprocedure('pgmq.create(text)') is null then
    raise exception 'flowsmith: pgmq is not installed in this database'
      using errcode = 'FL001', hint = 'Run `create extension pgmq`, or `flowsmith install`, which installs it as plain SQL.';
  end if;
end
{{ outer }};
-- --- Engine: recorded only if it is flowsmith's. If the schema pgflow was dropped, the record is void.

do {{ outer }}
begin
{% include "check_script.sql" %}
  if to_regclass('flowsmith.engine') is not null then
    if to_regnamespace('pgflow') is null then
      delete from flowsmith.engine;
    elsif to_regclass('pgflow.flows') is not null and not exists (select from flowsmith.engine) then
      raise exception 'flowsmith: the schema pgflow exists, but no record of its installation, as after the restore of a dump without data'
        using errcode = 'FL001', hint = 'Restore the records too: pg_dump --data-only -t flowsmith.engine -t flowsmith.ledger -t pgmq.__pgmq_migrations';
    end if;
  elsif to_regclass('pgflow.flows') is null then
    create table flowsmith.engine (
      version      integer primary key,
      checksum     text not null,
      installed_at timestamptz not null default now(),
      installed_by text not null default current_user,
      tool_version text
    );
    comment on table flowsmith.engine is 'installed scripts of flowsmith''s workflow engine';
  else
    raise notice 'flowsmith: this database has an engine that flowsmith did not install; it is left as it is';
  end if;
end
{{ outer }};
{% for script in engine %}
-- --- Engine {{ script.version }}: {{ script.name }}

do {{ outer }}
begin
{% include "check_script.sql" %}
declare
  installed text;
begin
  if to_regclass('flowsmith.engine') is null then
    return;
  end if;
  installed := (select e.checksum from flowsmith.engine e where e.version = {{ script.version }});
  if installed is null then
    execute {{ inner }}
{{ script.sql }}
{{ inner }};
{%- if loop.first and input_style != "separate" %}
    create or replace function pgflow.input_style() returns text
    language sql immutable parallel safe
    return {{ input_style | literal }}::text;
{%- endif %}
    insert into flowsmith.engine (version, checksum, tool_version)
    values ({{ script.version }}, {{ script.checksum | literal }}, {{ tool_version | literal }});
  elsif installed <> {{ script.checksum | literal }} then
    raise exception 'flowsmith: the installed engine script % has a different content', {{ script.name | literal }}
      using errcode = 'FL002', hint = 'Released scripts never change: use an unmodified flowsmith.';
  end if;
end;
end
{{ outer }};
{% endfor %}
{% for script in ledger %}
-- --- Ledger {{ script.version }}: {{ script.name }}

do {{ outer }}
begin
{% include "check_script.sql" %}
declare
  installed text := (select l.checksum from flowsmith.ledger l where l.version = {{ script.version }});
begin
  if installed is null then
    execute {{ inner }}
{{ script.sql }}
{{ inner }};
    insert into flowsmith.ledger (version, checksum, tool_version)
    values ({{ script.version }}, {{ script.checksum | literal }}, {{ tool_version | literal }});
  elsif installed <> {{ script.checksum | literal }} then
    raise exception 'flowsmith: the installed ledger script % has a different content', {{ script.name | literal }}
      using errcode = 'FL002', hint = 'Released scripts never change: use an unmodified flowsmith.';
  end if;
end;
end
{{ outer }};
{% endfor %}
-- --- Recovery of stalled tasks: by pg_cron if it is installed, else by workers. An existing job is not changed.

do {{ outer }}
begin
{% include "check_script.sql" %}
declare
  version text := (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pg_cron');
begin
  if version is null or to_regclass('flowsmith.engine') is null or to_regprocedure('pgflow.requeue_stalled_tasks()') is null then
    return;
  end if;
  if not has_schema_privilege('cron', 'usage') then
    raise warning 'flowsmith: pg_cron is installed, but the role % has no privilege to use it; no job that calls pgflow.requeue_stalled_tasks() was created', quote_ident(current_user);
    return;
  end if;
  if not exists (select from cron.job j where j.jobname = {{ recovery_job | literal }} and j.database = current_database()) then
    perform cron.schedule(
      {{ recovery_job | literal }},
      -- Intervals in seconds need pg_cron 1.5.
      case when string_to_array(split_part(version, '-', 1), '.')::int[] >= array[1, 5] then '15 seconds' else '* * * * *' end,
      'select pgflow.requeue_stalled_tasks()');
  end if;
end;
end
{{ outer }};

-- --- Schedules that were applied before pg_cron was installed get a job. Deleted jobs are not created again.

do {{ outer }}
begin
{% include "check_script.sql" %}
declare
  flows text[];
begin
  if not has_function_privilege('flowsmith.sync_cron_jobs(text[])', 'execute') then
    return;
  end if;
  flows := array(select distinct t.flow from flowsmith.triggers t where t.kind = 'cron' and not t.scheduled);
  if flows <> '{}' then
    perform flowsmith.sync_cron_jobs(flows);
  end if;
end;
end
{{ outer }};

{% include "end_script.sql" %}