-- The workflow engine, part 2: running flows. Its files are one script, run in the order of their names.
--
-- What calls what; names that begin with _ are the engine's own:
--
--   start_flow ──────────────────────────────────────────┐
--   complete_task ──→ _refuse_output, _finish_one ───────┤
--   complete_tasks ─→ _refuse_output, _finish ───────────┼─→ _go_on ─┬─→ _resolve ─→ _skip, _complete_taskless,
--     (both release what waited: _release)               │           │                _release, _fail_step
--   fail_task ──────→ _fail_step or _skip, _release ─────┘           ├─→ _start_steps, _queue_tasks
--                                                                    └─→ _settle_runs: counts, and ends runs
--   start_tasks ────→ _start_tasks, or _park where the flow is paused
--   requeue_stalled_tasks, set_vt_batch                      on their own
--
--   everything ─────→ _archive, _archive_with_runs, _hide, _delay, _queue, _read: statements on queues
--
-- A **ready** step has no open dependency and is still `created`. Whoever makes steps ready hands them to `_go_on`, which
-- decides their conditions, completes those that have no task, starts the others, and finishes runs that have nothing
-- left. It works on sets, the ready steps of many runs, so that a batch costs a few statements and not a few a task. What
-- workers call most, completing one task, has functions of its own for one row, which cost half: complete_task,
-- _finish_one, _settle_run.
--
-- Lock order, which replaces the one in part 1. Each call takes what it takes in this order, so that no two calls can
-- deadlock; a transaction of several calls can, as with any tables, and so can one that reads a queue, then starts its tasks,
-- while somebody deletes the flow.
--
--   1. tasks            by primary key; start_tasks, poll_tasks and the recovery leave out those that others hold, so that
--                       nobody waits for a task who holds a message
--   2. states of steps that were started   by (run_id, step_slug): where the tasks of one map meet
--   3. runs             by run_id; by complete_task only where a step finishes, so that the tasks of a map seldom wait
--   4. states of steps that wait           of runs that are held; nobody else touches them
--   5. queue messages   archived by msg_id; whoever hides messages leaves out those that others hold
--
-- Whether a step or run has ended meanwhile is read without a lock before 1. A task that completes in that very moment is as
-- if it had completed just before: counters go on counting, nothing new is started.
--
-- How statements find rows. Tables grow by thousands of rows a second while statistics come a minute later, so no plan here
-- may depend on sizes. The functions that workers call switch off every plan but index scans and nested loops, for themselves
-- and for what they call, make each plan once a session and never compile one. Sets are looked up one by one, by `cross join
-- lateral (… offset 0)` on a whole key, and updated by the place (ctid) that this found: a scan of a table cannot be chosen
-- then. That is for rows that are held already, since an update by place loses a row that somebody moves meanwhile. Partial
-- indexes are on conditions that only their own statement names.
--
-- Times are the clock's, not the transaction's, so that durations are true in a transaction that also does the work, and
-- never before the time that they follow, whatever the clock does.


-- ─── Indexes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Tasks that nobody has started, which start_tasks finds by their messages, and tasks that somebody works on, which the
-- recovery finds by age. Neither holds a task that has completed, so they stay small whatever their number. What is left of
-- failed runs stays in the first until it is pruned, and in the second until the recovery has seen it once.
drop index pgflow.step_tasks_queued;
drop index pgflow.step_tasks_started;
create index step_tasks_waiting on pgflow.step_tasks (flow_slug, message_id) where started_at is null;
create index step_tasks_working on pgflow.step_tasks (started_at)
  where started_at is not null and completed_at is null and failed_at is null and permanently_stalled_at is null;

-- With the dependency in it, so that the primary key has no advantage where a step's dependencies are looked up.
drop index pgflow.deps_by_step;
create index deps_by_step on pgflow.deps (flow_slug, step_slug) include (dep_slug);


-- ─── Events ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Whether there are events. PostgreSQL lets one transaction at a time commit that has notified, however many workers there are,
-- so a database in which nobody listens does more without:
--
--   alter database … set pgflow.events = off
--
-- Asked before an event is put together, which costs more than asking. The planner inlines it.
create function pgflow._tells() returns boolean
language sql stable parallel safe
return current_setting('pgflow.events', true) is distinct from 'off';

-- Part 1's realtime.send, where the database has it and not Supabase's, which asks too, for others who call it.
do $do$
begin
  if exists (
    select from pg_catalog.pg_proc p
    where p.oid = to_regprocedure('realtime.send(jsonb, text, text, boolean)') and p.prosrc like '%pgflow_events%'
  ) then
    create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
    as $$
    declare
      slim         jsonb;
      notification text;
    begin
      if current_setting('pgflow.events', true) = 'off' then
        return;
      end if;
      notification := jsonb_build_object('event', event, 'topic', topic, 'payload', payload, 'timestamp', clock_timestamp());
      if octet_length(notification) >= 8000 then
        slim := payload - 'input' - 'output' || '{"truncated": true}';
        notification := jsonb_build_object('event', event, 'topic', topic, 'payload', slim, 'timestamp', clock_timestamp());
      end if;
      if octet_length(notification) >= 8000 then
        slim := jsonb_strip_nulls(jsonb_build_object(
          'event_type', slim -> 'event_type', 'run_id', slim -> 'run_id', 'flow_slug', slim -> 'flow_slug',
          'step_slug', slim -> 'step_slug', 'status', slim -> 'status',
          'error_message', left(slim ->> 'error_message', 500), 'truncated', true));
        notification := jsonb_build_object('event', event, 'topic', topic, 'payload', slim, 'timestamp', clock_timestamp());
      end if;
      perform pg_notify('pgflow_events', notification);
    end
    $$;
  end if;
end
$do$;


-- ─── Checks ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

-- The same conditions under the same names, in fewer words: PostgreSQL reads the text of every check of a table anew for each
-- statement that writes it, which was a sixth of what completing a task costs. A comparison with null is no violation, so
-- `is null or` can go, and an array as one constant is read faster than its elements.
alter table pgflow.runs
  drop constraint status_is_valid,
  drop constraint completed_at_is_after_started_at,
  drop constraint failed_at_is_after_started_at,
  add constraint status_is_valid check (status = any ('{started,failed,completed}')),
  add constraint completed_at_is_after_started_at check (completed_at >= started_at),
  add constraint failed_at_is_after_started_at check (failed_at >= started_at);

alter table pgflow.step_states
  drop constraint status_is_valid,
  drop constraint remaining_tasks_state_consistency,
  drop constraint step_states_initial_tasks_check,
  drop constraint started_at_is_after_created_at,
  drop constraint completed_at_is_after_started_at,
  drop constraint failed_at_is_after_started_at,
  drop constraint skipped_at_is_after_created_at,
  add constraint status_is_valid check (status = any ('{created,started,completed,failed,skipped}')),
  add constraint remaining_tasks_state_consistency
    check (remaining_tasks is null or status <> all ('{created,skipped}')),
  add constraint step_states_initial_tasks_check check (initial_tasks >= 0),
  add constraint started_at_is_after_created_at check (started_at >= created_at),
  add constraint completed_at_is_after_started_at check (completed_at >= started_at),
  add constraint failed_at_is_after_started_at check (failed_at >= started_at),
  add constraint skipped_at_is_after_created_at check (skipped_at >= created_at);

alter table pgflow.step_tasks
  drop constraint valid_status,
  drop constraint output_valid_only_for_completed,
  drop constraint started_at_is_after_queued_at,
  drop constraint completed_at_is_after_queued_at,
  drop constraint completed_at_is_after_started_at,
  drop constraint failed_at_is_after_queued_at,
  drop constraint failed_at_is_after_started_at,
  add constraint valid_status check (status = any ('{queued,started,completed,failed}')),
  add constraint output_valid_only_for_completed check (output is null or status = any ('{completed,failed}')),
  add constraint started_at_is_after_queued_at check (started_at >= queued_at),
  add constraint completed_at_is_after_queued_at check (completed_at >= queued_at),
  add constraint completed_at_is_after_started_at check (completed_at >= started_at),
  add constraint failed_at_is_after_queued_at check (failed_at >= queued_at),
  add constraint failed_at_is_after_started_at check (failed_at >= started_at);


-- ─── Pausing ────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Flows whose tasks nobody may start; pause_flow and resume_flow, in part 3, write it. parked_at is when start_tasks last put
-- messages away.
create table pgflow.paused_flows (
  flow_slug text        not null,
  paused_at timestamptz not null default now(),
  paused_by text        not null default session_user,
  parked_at timestamptz,
  constraint paused_flows_pkey primary key (flow_slug),
  constraint paused_flows_flow_slug_fkey foreign key (flow_slug) references pgflow.flows (flow_slug) on delete cascade
);


-- ─── Room on pages ──────────────────────────────────────────────────────────────────────────────────────────────────

-- States and runs are updated several times soon after they are inserted. With room on their page, updates of counters stay
-- there (HOT) and touch no index.
alter table pgflow.step_states set (fillfactor = 70);
alter table pgflow.runs set (fillfactor = 70);


