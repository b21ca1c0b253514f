create schema if not exists pgflow;


-- Tables: definitions
-- ===================

-- Returns whether a text is valid as the name of a flow or a step; false for null.
create function pgflow.is_valid_slug(slug text) returns boolean
language sql immutable parallel safe
return slug is not null
  and length(slug) <= 128
  and slug ~ '^[a-zA-Z_][a-zA-Z0-9_]*$'
  and slug <> 'run';

create table pgflow.flows (
  flow_slug        text        not null,
  opt_max_attempts integer     not null default 3,
  opt_base_delay   integer     not null default 1,
  opt_timeout      integer     not null default 60,
  created_at       timestamptz not null default now(),
  constraint flows_pkey primary key (flow_slug),
  constraint slug_is_valid check (pgflow.is_valid_slug(flow_slug)),
  constraint opt_max_attempts_is_nonnegative check (opt_max_attempts >= 0),
  constraint opt_base_delay_is_nonnegative check (opt_base_delay >= 0),
  constraint opt_timeout_is_positive check (opt_timeout > 0)
);

-- pgmq converts queue names to lower case, so flows that differ only in case would share a queue.
create unique index flows_queue_key on pgflow.flows (lower(flow_slug));

-- A null option is inherited from the flow; a null start delay means no delay.
create table pgflow.steps (
  flow_slug               text        not null,
  step_slug               text        not null,
  step_type               text        not null default 'single',
  step_index              integer     not null default 0,
  deps_count              integer     not null default 0,
  opt_max_attempts        integer,
  opt_base_delay          integer,
  opt_timeout             integer,
  opt_start_delay         integer,
  required_input_pattern  jsonb,
  forbidden_input_pattern jsonb,
  when_unmet              text        not null default 'skip',
  when_exhausted          text        not null default 'fail',
  created_at              timestamptz not null default now(),
  constraint steps_pkey primary key (flow_slug, step_slug),
  constraint steps_flow_slug_step_index_key unique (flow_slug, step_index),
  constraint steps_flow_slug_fkey foreign key (flow_slug) references pgflow.flows (flow_slug),
  constraint steps_step_slug_check check (pgflow.is_valid_slug(step_slug)),
  constraint steps_step_type_check check (step_type in ('single', 'map')),
  constraint steps_deps_count_check check (deps_count >= 0),
  constraint opt_max_attempts_is_nonnegative check (opt_max_attempts is null or opt_max_attempts >= 0),
  constraint opt_base_delay_is_nonnegative check (opt_base_delay is null or opt_base_delay >= 0),
  constraint opt_timeout_is_positive check (opt_timeout is null or opt_timeout > 0),
  constraint opt_start_delay_is_nonnegative check (opt_start_delay is null or opt_start_delay >= 0),
  constraint required_input_pattern_is_object
    check (required_input_pattern is null or jsonb_typeof(required_input_pattern) = 'object'),
  constraint forbidden_input_pattern_is_object
    check (forbidden_input_pattern is null or jsonb_typeof(forbidden_input_pattern) = 'object'),
  constraint when_unmet_is_valid check (when_unmet in ('fail', 'skip', 'skip-cascade')),
  constraint when_exhausted_is_valid check (when_exhausted in ('fail', 'skip', 'skip-cascade'))
);

-- step_slug depends on dep_slug.
create table pgflow.deps (
  flow_slug  text        not null,
  dep_slug   text        not null,
  step_slug  text        not null,
  created_at timestamptz not null default now(),
  constraint deps_pkey primary key (flow_slug, dep_slug, step_slug),
  constraint deps_flow_slug_dep_slug_fkey foreign key (flow_slug, dep_slug) references pgflow.steps (flow_slug, step_slug),
  constraint deps_flow_slug_step_slug_fkey foreign key (flow_slug, step_slug) references pgflow.steps (flow_slug, step_slug),
  constraint deps_check check (dep_slug <> step_slug)
);

-- The primary key finds the dependents of a step, this index its dependencies. It includes dep_slug because the planner
-- would otherwise prefer the primary key.
create index deps_by_step on pgflow.deps (flow_slug, step_slug) include (dep_slug);


-- Tables: executions
-- ==================
--
-- PostgreSQL parses every check constraint of a table for each statement that writes to it. The constraints of these
-- tables are therefore short: an array constant instead of a list, and no `is null or`, because a check that evaluates
-- to null is satisfied.

create table pgflow.workers (
  worker_id         uuid        not null,
  queue_name        text        not null,
  function_name     text        not null,
  started_at        timestamptz not null default now(),
  deprecated_at     timestamptz,
  stopped_at        timestamptz,
  last_heartbeat_at timestamptz not null default now(),
  constraint workers_pkey primary key (worker_id)
);

create table pgflow.worker_functions (
  function_name   text        not null,
  enabled         boolean     not null default true,
  debounce        interval    not null default '6 seconds',
  last_invoked_at timestamptz,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  constraint worker_functions_pkey primary key (function_name),
  constraint debounce_is_at_least_one_second check (debounce >= '1 second')
);

create table pgflow.runs (
  run_id          uuid        not null default gen_random_uuid(),
  flow_slug       text        not null,
  status          text        not null default 'started',
  input           jsonb       not null,
  output          jsonb,
  remaining_steps integer     not null default 0,
  started_at      timestamptz not null default now(),
  completed_at    timestamptz,
  failed_at       timestamptz,
  constraint runs_pkey primary key (run_id),
  constraint runs_flow_slug_fkey foreign key (flow_slug) references pgflow.flows (flow_slug),
  constraint status_is_valid check (status = any ('{started,failed,completed}')),
  constraint runs_remaining_steps_check check (remaining_steps >= 0),
  constraint completed_at_or_failed_at check (completed_at is null or failed_at is null),
  constraint completed_at_is_after_started_at check (completed_at >= started_at),
  constraint failed_at_is_after_started_at check (failed_at >= started_at)
) with (fillfactor = 70);

-- Finds the runs of a flow, and those that are started.
create index runs_by_flow on pgflow.runs (flow_slug, status);

-- Finds finished runs by the time at which they ended, for prune_runs.
create index runs_by_end on pgflow.runs ((coalesce(completed_at, failed_at)))
  where completed_at is not null or failed_at is not null;

-- remaining_tasks is null until the step starts. initial_tasks is null until the length of a map's array is known.
create table pgflow.step_states (
  flow_slug       text        not null,
  run_id          uuid        not null,
  step_slug       text        not null,
  status          text        not null default 'created',
  remaining_tasks integer,
  initial_tasks   integer,
  remaining_deps  integer     not null default 0,
  output          jsonb,
  error_message   text,
  skip_reason     text,
  created_at      timestamptz not null default now(),
  started_at      timestamptz,
  completed_at    timestamptz,
  failed_at       timestamptz,
  skipped_at      timestamptz,
  constraint step_states_pkey primary key (run_id, step_slug),
  constraint step_states_run_id_fkey foreign key (run_id) references pgflow.runs (run_id),
  constraint step_states_flow_slug_step_slug_fkey
    foreign key (flow_slug, step_slug) references pgflow.steps (flow_slug, step_slug),
  constraint status_is_valid check (status = any ('{created,started,completed,failed,skipped}')),
  constraint step_states_initial_tasks_check check (initial_tasks >= 0),
  constraint step_states_remaining_deps_check check (remaining_deps >= 0),
  constraint status_and_remaining_tasks_match check (status <> 'completed' or remaining_tasks = 0),
  constraint remaining_tasks_state_consistency check (remaining_tasks is null or status <> all ('{created,skipped}')),
  constraint initial_tasks_known_when_started check (status <> 'started' or initial_tasks is not null),
  constraint output_only_for_completed_or_null check (output is null or status = 'completed'),
  constraint skip_reason_matches_status check ((status = 'skipped') = (skip_reason is not null)),
  constraint completed_at_or_failed_at check (num_nonnulls(completed_at, failed_at, skipped_at) <= 1),
  constraint started_at_is_after_created_at check (started_at >= created_at),
  constraint completed_at_is_after_started_at check (completed_at >= started_at),
  constraint failed_at_is_after_started_at check (failed_at >= started_at),
  constraint skipped_at_is_after_created_at check (skipped_at >= created_at)
) with (fillfactor = 70);

create index step_states_by_step on pgflow.step_states (flow_slug, step_slug);

create table pgflow.step_tasks (
  flow_slug              text        not null,
  run_id                 uuid        not null,
  step_slug              text        not null,
  message_id             bigint,
  task_index             integer     not null default 0,
  status                 text        not null default 'queued',
  attempts_count         integer     not null default 0,
  error_message          text,
  output                 jsonb,
  queued_at              timestamptz not null default now(),
  started_at             timestamptz,
  completed_at           timestamptz,
  failed_at              timestamptz,
  last_worker_id         uuid,
  requeued_count         integer     not null default 0,
  last_requeued_at       timestamptz,
  permanently_stalled_at timestamptz,
  constraint step_tasks_pkey primary key (run_id, step_slug, task_index),
  constraint step_tasks_run_id_step_slug_fkey
    foreign key (run_id, step_slug) references pgflow.step_states (run_id, step_slug),
  constraint step_tasks_last_worker_id_fkey
    foreign key (last_worker_id) references pgflow.workers (worker_id) on delete set null,
  constraint valid_status check (status = any ('{queued,started,completed,failed}')),
  constraint attempts_count_nonnegative check (attempts_count >= 0),
  constraint requeued_count_nonnegative check (requeued_count >= 0),
  constraint output_valid_only_for_completed check (output is null or status = any ('{completed,failed}')),
  constraint completed_at_or_failed_at check (completed_at is null or failed_at is null),
  constraint started_at_is_after_queued_at check (started_at >= queued_at),
  constraint completed_at_is_after_queued_at check (completed_at >= queued_at),
  constraint completed_at_is_after_started_at check (completed_at >= started_at),
  constraint failed_at_is_after_queued_at check (failed_at >= queued_at),
  constraint failed_at_is_after_started_at check (failed_at >= started_at)
);

-- step_tasks_waiting finds tasks that have not started by their message, for start_tasks; a message id is unique within
-- its queue only. step_tasks_working finds started tasks by their age, for requeue_stalled_tasks. Neither index
-- contains completed tasks, so both stay small. The open tasks of failed runs stay in the first until the run is
-- pruned, and in the second until requeue_stalled_tasks marks them.
create index step_tasks_waiting on pgflow.step_tasks (flow_slug, message_id) where started_at is null;
create index step_tasks_working on pgflow.step_tasks (started_at)
  where started_at is not null and completed_at is null and failed_at is null and permanently_stalled_at is null;
create index step_tasks_by_worker on pgflow.step_tasks (last_worker_id) where last_worker_id is not null;

-- Flows whose tasks must not start. parked_at is the time at which start_tasks last parked messages of the flow.
create table pgflow.paused_flows (
  flow_slug text        not null,
  paused_at timestamptz not null default now(),
  paused_by text        not null default session_user,
  parked_at timestamptz,
  constraint paused_flows_pkey primary key (flow_slug),
  constraint paused_flows_flow_slug_fkey foreign key (flow_slug) references pgflow.flows (flow_slug) on delete cascade
);

-- A started task with its input, as workers receive it.
create type pgflow.step_task_record as (
  flow_slug  text,
  run_id     uuid,
  step_slug  text,
  input      jsonb,
  msg_id     bigint,
  task_index integer,
  flow_input jsonb
);


