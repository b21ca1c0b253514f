-- The workflow engine, part 1: what a flow is.
--
-- A flow is a directed acyclic graph of steps. This file makes every table of the engine and the functions that define,
-- compare and delete flows; running them is part 2.
--
--   definition   flows ─┬─< steps ──< deps          written by create_flow and add_step, read by everything
--                       │
--   execution           └─< runs ──< step_states ──< step_tasks >── pgmq message in the queue named after the flow
--
--   workers, worker_functions                       who works, and which functions keep workers alive
--
-- Life of a run: started → completed | failed.
-- Life of a step in a run: created (waits for its dependencies) → started → completed | failed, or → skipped.
-- Life of a task: queued → started → completed | failed; a retry takes it back to queued.
-- A `single` step has one task, a `map` step one per element of its source array.
--
-- Lock order, for every function of every part, so that no two of them can deadlock:
--   flows row → runs row → step_states rows by step_slug → step_tasks rows by (step_slug, task_index) → queue messages.
-- Whoever changes the states of a run holds that run's row first; whoever changes the steps of a flow holds its row first.
--
-- Needs PostgreSQL 14 and pgmq 1.4.4, the extension or its plain SQL. Every function either has an empty search_path or
-- an SQL-standard body, whose names are resolved when it is made; the latter where the planner should inline it.
-- PUBLIC may execute nothing.

create schema if not exists pgflow;


-- ─── Words that tables check ────────────────────────────────────────────────────────────────────────────────────────

-- Whether a text can name a flow or a step. Null is not a name.
create function pgflow.is_valid_slug(slug text) returns boolean
language sql immutable parallel safe
return slug is not null
  and length(slug) <= 128
  and slug ~ '^[a-zA-Z_][a-zA-Z0-9_]*$'
  and slug <> 'run';


-- ─── Definition tables ──────────────────────────────────────────────────────────────────────────────────────────────

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

-- pgmq lower-cases the names of its tables, so two flows that differ only in case would share one queue.
create unique index flows_queue_key on pgflow.flows (lower(flow_slug));

-- An option that is null is inherited from the flow (a start delay: none).
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

-- step_slug waits for dep_slug. The primary key finds a step's dependents, the index its dependencies.
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

create index deps_by_step on pgflow.deps (flow_slug, step_slug);


-- ─── Execution tables ───────────────────────────────────────────────────────────────────────────────────────────────

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
  constraint status_is_valid check (status in ('started', 'failed', 'completed')),
  constraint runs_remaining_steps_check check (remaining_steps >= 0),
  constraint completed_at_or_failed_at check (completed_at is null or failed_at is null),
  constraint completed_at_is_after_started_at check (completed_at is null or completed_at >= started_at),
  constraint failed_at_is_after_started_at check (failed_at is null or failed_at >= started_at)
);

-- The runs of a flow, and those of them that are not finished.
create index runs_by_flow on pgflow.runs (flow_slug, status);

-- remaining_tasks is null until the step starts; initial_tasks is null until the array that a map maps is known.
-- No index has a column that changes, so that every update of a state can stay within its page (HOT).
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
  constraint status_is_valid check (status in ('created', 'started', 'completed', 'failed', 'skipped')),
  constraint step_states_initial_tasks_check check (initial_tasks is null or initial_tasks >= 0),
  constraint step_states_remaining_deps_check check (remaining_deps >= 0),
  constraint status_and_remaining_tasks_match check (status <> 'completed' or remaining_tasks = 0),
  constraint remaining_tasks_state_consistency check (remaining_tasks is null or status not in ('created', 'skipped')),
  constraint initial_tasks_known_when_started check (status <> 'started' or initial_tasks is not null),
  constraint output_only_for_completed_or_null check (output is null or status = 'completed'),
  constraint skip_reason_matches_status check ((status = 'skipped') = (skip_reason is not null)),
  constraint completed_at_or_failed_at check (num_nonnulls(completed_at, failed_at, skipped_at) <= 1),
  constraint started_at_is_after_created_at check (started_at is null or started_at >= created_at),
  constraint completed_at_is_after_started_at check (completed_at is null or completed_at >= started_at),
  constraint failed_at_is_after_started_at check (failed_at is null or failed_at >= started_at),
  constraint skipped_at_is_after_created_at check (skipped_at is null or skipped_at >= created_at)
);

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
  constraint valid_status check (status in ('queued', 'started', 'completed', 'failed')),
  constraint attempts_count_nonnegative check (attempts_count >= 0),
  constraint requeued_count_nonnegative check (requeued_count >= 0),
  constraint output_valid_only_for_completed check (output is null or status in ('completed', 'failed')),
  constraint completed_at_or_failed_at check (completed_at is null or failed_at is null),
  constraint started_at_is_after_queued_at check (started_at is null or started_at >= queued_at),
  constraint completed_at_is_after_queued_at check (completed_at is null or completed_at >= queued_at),
  constraint completed_at_is_after_started_at
    check (completed_at is null or started_at is null or completed_at >= started_at),
  constraint failed_at_is_after_queued_at check (failed_at is null or failed_at >= queued_at),
  constraint failed_at_is_after_started_at check (failed_at is null or started_at is null or failed_at >= started_at)
);

-- A message id is unique within its queue only. Both partial indexes hold unfinished tasks only, so they stay small
-- whatever the number of finished ones.
create index step_tasks_queued on pgflow.step_tasks (flow_slug, message_id) where status = 'queued';
create index step_tasks_started on pgflow.step_tasks (started_at) where status = 'started';
create index step_tasks_by_worker on pgflow.step_tasks (last_worker_id) where last_worker_id is not null;

-- What a worker is handed: one task with its input.
create type pgflow.step_task_record as (
  flow_slug  text,
  run_id     uuid,
  step_slug  text,
  input      jsonb,
  msg_id     bigint,
  task_index integer,
  flow_input jsonb
);


-- ─── Settings ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- What start_tasks puts into the input of a single step: 'separate' = its dependencies' outputs (level 0.14), 'merged' =
-- these and the run's input under the key `run` (levels 0.7 and 0.8). A constant in a function, which the planner
-- inlines, so that asking costs nothing; the install replaces it where another style is chosen.
create function pgflow.input_style() returns text
language sql immutable parallel safe
return 'separate'::text;

-- Seconds before attempt number attempts_count + 1: base_delay doubled for each attempt made, the largest integer at most.
-- The exponent stops at 200, where every delay that is not 0 is beyond that integer: 2^attempts_count itself could be huge.
create function pgflow.calculate_retry_delay(base_delay numeric, attempts_count integer) returns integer
language sql immutable parallel safe
return least(floor(base_delay * power(2::numeric, least(attempts_count, 200)::numeric)), 2147483647)::integer;

-- True only in a local development database, told by the secret that every local Supabase has and none elsewhere.
create function pgflow.is_local() returns boolean
language sql stable parallel safe
return coalesce(
  current_setting('app.settings.jwt_secret', true) = 'super-secret-jwt-token-with-at-least-32-characters-long',
  false
);


-- ─── Defining flows ─────────────────────────────────────────────────────────────────────────────────────────────────

-- Makes a flow and its queue; both are left as they are where they exist. Null options mean 3 attempts, 5 seconds, 60
-- seconds. Concurrent calls for one slug all return the one row: the losers of the insert wait for the winner's commit.
create function pgflow.create_flow(
  flow_slug    text,
  max_attempts integer default null,
  base_delay   integer default null,
  timeout      integer default null
) returns pgflow.flows
language plpgsql
set search_path = ''
as $$
declare
  flow pgflow.flows;
begin
  if length(create_flow.flow_slug) > 47 then
    raise exception 'flow slug "%" has % characters, but a queue name can have at most 47', create_flow.flow_slug, length(create_flow.flow_slug)
      using errcode = 'name_too_long', hint = 'The slug also names the queue in pgmq: choose a shorter one.';
  end if;

  insert into pgflow.flows as f (flow_slug, opt_max_attempts, opt_base_delay, opt_timeout)
  values (
    create_flow.flow_slug,
    coalesce(create_flow.max_attempts, 3),
    coalesce(create_flow.base_delay, 5),
    coalesce(create_flow.timeout, 60)
  )
  on conflict do nothing
  returning f.* into flow;

  if not found then
    select f.* into flow from pgflow.flows f where f.flow_slug = create_flow.flow_slug;
    if not found then
      raise exception 'flow slug "%" differs only in case from the existing flow "%"', create_flow.flow_slug,
        (select f.flow_slug from pgflow.flows f where lower(f.flow_slug) = lower(create_flow.flow_slug))
        using errcode = 'unique_violation',
          hint = format('Both would have the queue table pgmq.q_%s: choose another slug.', lower(create_flow.flow_slug));
    end if;
  end if;

  if not exists (select from pgmq.meta m where m.queue_name = create_flow.flow_slug) then
    perform pgmq.create(create_flow.flow_slug);
  end if;
  return flow;
end
$$;

-- Adds a step after those the flow has; left as it is where it exists. Its dependencies must exist, so a flow cannot have
-- a cycle. Concurrent calls take turns on the flow's row, so each gets an index of its own. The lock comes in a statement
-- before the insert, since a statement does not see what was committed while it waited.
create function pgflow.add_step(
  flow_slug               text,
  step_slug               text,
  deps_slugs              text[]  default '{}',
  max_attempts            integer default null,
  base_delay              integer default null,
  timeout                 integer default null,
  start_delay             integer default null,
  step_type               text    default 'single',
  required_input_pattern  jsonb   default null,
  forbidden_input_pattern jsonb   default null,
  when_unmet              text    default 'skip',
  when_exhausted          text    default 'fail'
) returns pgflow.steps
language plpgsql
set search_path = ''
as $$
declare
  step      pgflow.steps;
  -- Named twice, a dependency would be waited for twice and released once.
  waits_for text[] := array(select distinct dep from unnest(add_step.deps_slugs) dep);
begin
  if add_step.step_type = 'map' and cardinality(waits_for) > 1 then
    raise exception 'Map step "%" can have at most one dependency, but % were provided: %',
      add_step.step_slug, cardinality(add_step.deps_slugs), array_to_string(add_step.deps_slugs, ', ');
  end if;

  -- One at a time in a flow, so that two steps never take the same place.
  perform from pgflow.flows f where f.flow_slug = add_step.flow_slug for no key update;
  select * into step from pgflow.steps s
  where s.flow_slug = add_step.flow_slug and s.step_slug = add_step.step_slug;
  if found then
    return step;
  end if;

  step.flow_slug               := add_step.flow_slug;
  step.step_slug               := add_step.step_slug;
  step.step_type               := coalesce(add_step.step_type, 'single');
  step.step_index              := coalesce((select max(s.step_index) from pgflow.steps s where s.flow_slug = add_step.flow_slug), -1) + 1;
  step.deps_count              := cardinality(waits_for);
  step.opt_max_attempts        := add_step.max_attempts;
  step.opt_base_delay          := add_step.base_delay;
  step.opt_timeout             := add_step.timeout;
  step.opt_start_delay         := add_step.start_delay;
  step.required_input_pattern  := add_step.required_input_pattern;
  step.forbidden_input_pattern := add_step.forbidden_input_pattern;
  step.when_unmet              := coalesce(add_step.when_unmet, 'skip');
  step.when_exhausted          := coalesce(add_step.when_exhausted, 'fail');
  step.created_at              := now();
  insert into pgflow.steps values (step.*);
  insert into pgflow.deps (flow_slug, dep_slug, step_slug)
  select step.flow_slug, dep, step.step_slug from unnest(waits_for) dep;
  return step;
end
$$;

-- Deletes a flow, all it ever ran and its queue. A flow that does not exist is nothing to delete.
create function pgflow.delete_flow_and_data(p_flow_slug text) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform from pgflow.flows f where f.flow_slug = p_flow_slug for update;
  perform r.run_id from pgflow.runs r where r.flow_slug = p_flow_slug order by r.run_id for update;

  delete from pgflow.step_tasks t using pgflow.runs r where r.flow_slug = p_flow_slug and t.run_id = r.run_id;
  delete from pgflow.step_states s where s.flow_slug = p_flow_slug;
  delete from pgflow.runs r where r.flow_slug = p_flow_slug;
  delete from pgflow.deps d where d.flow_slug = p_flow_slug;
  delete from pgflow.steps s where s.flow_slug = p_flow_slug;
  delete from pgflow.flows f where f.flow_slug = p_flow_slug;

  if exists (select from pgmq.meta m where m.queue_name = p_flow_slug) then
    perform pgmq.drop_queue(p_flow_slug);
  end if;
end
$$;


-- ─── Shapes: a flow as its code sees it, without options ────────────────────────────────────────────────────────────

-- The shape of a flow; no steps where there is no such flow.
create function pgflow._get_flow_shape(p_flow_slug text) returns jsonb
language sql stable
return (
  select jsonb_build_object('steps', coalesce(jsonb_agg(
    jsonb_build_object(
      'slug', s.step_slug,
      'stepType', s.step_type,
      'dependencies', coalesce(
        (select jsonb_agg(d.dep_slug order by d.dep_slug collate "C")
         from pgflow.deps d
         where d.flow_slug = s.flow_slug and d.step_slug = s.step_slug),
        '[]'),
      'whenUnmet', s.when_unmet,
      'whenExhausted', s.when_exhausted,
      'requiredInputPattern',
        case when s.required_input_pattern is null then '{"defined": false}'
             else jsonb_build_object('defined', true, 'value', s.required_input_pattern) end,
      'forbiddenInputPattern',
        case when s.forbidden_input_pattern is null then '{"defined": false}'
             else jsonb_build_object('defined', true, 'value', s.forbidden_input_pattern) end
    ) order by s.step_index), '[]'))
  from pgflow.steps s
  where s.flow_slug = p_flow_slug
);

-- What differs between two shapes, step by step, in words; empty where nothing does. A key that is absent has its default.
create function pgflow._compare_flow_shapes(p_local jsonb, p_db jsonb) returns text[]
language sql immutable
set search_path = ''
as $$
  with
  step as (
    select coalesce(l.index, d.index) - 1 as index, l.step as local, d.step as db
    from jsonb_array_elements(p_local -> 'steps') with ordinality as l (step, index)
    full join jsonb_array_elements(p_db -> 'steps') with ordinality as d (step, index) using (index)
  ),
  -- rank keeps the texts of one step in the order of this list
  difference as (
    select s.index, word.rank, word.text
    from step s
    cross join lateral (
      select
        coalesce((select string_agg(v, ', ' order by n) from jsonb_array_elements_text(s.local -> 'dependencies') with ordinality as x (v, n)), '') as local_deps,
        coalesce((select string_agg(v, ', ' order by n) from jsonb_array_elements_text(s.db -> 'dependencies') with ordinality as x (v, n)), '') as db_deps
    ) deps
    cross join lateral (values
      (0, 'slug differs', format('''%s''', s.local ->> 'slug'), format('''%s''', s.db ->> 'slug')),
      (1, 'type differs', format('''%s''', coalesce(s.local ->> 'stepType', 'single')), format('''%s''', coalesce(s.db ->> 'stepType', 'single'))),
      (2, 'dependencies differ', format('[%s]', deps.local_deps), format('[%s]', deps.db_deps)),
      (3, 'whenUnmet differs', format('''%s''', coalesce(s.local ->> 'whenUnmet', 'skip')), format('''%s''', coalesce(s.db ->> 'whenUnmet', 'skip'))),
      (4, 'whenExhausted differs', format('''%s''', coalesce(s.local ->> 'whenExhausted', 'fail')), format('''%s''', coalesce(s.db ->> 'whenExhausted', 'fail'))),
      (5, 'requiredInputPattern differs', format('''%s''', coalesce(s.local -> 'requiredInputPattern', '{"defined": false}')),
          format('''%s''', coalesce(s.db -> 'requiredInputPattern', '{"defined": false}'))),
      (6, 'forbiddenInputPattern differs', format('''%s''', coalesce(s.local -> 'forbiddenInputPattern', '{"defined": false}')),
          format('''%s''', coalesce(s.db -> 'forbiddenInputPattern', '{"defined": false}')))
    ) as part (rank, words, local, db)
    cross join lateral (select part.rank, format('%s %s vs %s', part.words, part.local, part.db)) as word (rank, text)
    where s.local is not null and s.db is not null and part.local <> part.db
    union all
    select s.index, 0,
      case when s.local is null then format('missing in first shape (second has ''%s'')', s.db ->> 'slug')
           else format('missing in second shape (first has ''%s'')', s.local ->> 'slug') end
    from step s
    where s.local is null or s.db is null
  )
  select case when c.local <> c.db then array[format('Step count differs: %s vs %s', c.local, c.db)] else '{}'::text[] end
    || coalesce((select array_agg(format('Step at index %s: %s', d.index, d.text) order by d.index, d.rank) from difference d), '{}')
  from (select count(s.local) as local, count(s.db) as db from step s) c
$$;

-- Makes a flow as a shape says. An option that the shape leaves out has its default.
create function pgflow._create_flow_from_shape(p_flow_slug text, p_shape jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  perform pgflow.create_flow(
    p_flow_slug,
    (p_shape #>> '{options,maxAttempts}')::integer,
    (p_shape #>> '{options,baseDelay}')::integer,
    (p_shape #>> '{options,timeout}')::integer
  );

  -- The subquery is ordered before the calls are made: a step comes after its dependencies.
  perform pgflow.add_step(
    p_flow_slug,
    step ->> 'slug',
    array(select jsonb_array_elements_text(step -> 'dependencies')),
    (step #>> '{options,maxAttempts}')::integer,
    (step #>> '{options,baseDelay}')::integer,
    (step #>> '{options,timeout}')::integer,
    (step #>> '{options,startDelay}')::integer,
    coalesce(step ->> 'stepType', 'single'),
    case when (step #>> '{requiredInputPattern,defined}')::boolean then step #> '{requiredInputPattern,value}' end,
    case when (step #>> '{forbiddenInputPattern,defined}')::boolean then step #> '{forbiddenInputPattern,value}' end,
    coalesce(step ->> 'whenUnmet', 'skip'),
    coalesce(step ->> 'whenExhausted', 'fail')
  )
  from (select s.step from jsonb_array_elements(p_shape -> 'steps') with ordinality as s (step, index) order by s.index offset 0) ordered;
end
$$;

-- Brings a flow to a shape and says what it did: compiled (there was none), verified (it is so already), recompiled (deleted
-- with its data and made anew: in a local database, or where data loss is allowed) or mismatch (nothing changed).
create function pgflow.ensure_flow_compiled(flow_slug text, shape jsonb, allow_data_loss boolean default false) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  differences text[] := '{}';
  outcome     text;
begin
  perform pg_advisory_xact_lock(hashtextextended('pgflow.ensure_flow_compiled ' || ensure_flow_compiled.flow_slug, 0));

  if not exists (select from pgflow.flows f where f.flow_slug = ensure_flow_compiled.flow_slug) then
    outcome := 'compiled';
  else
    differences := pgflow._compare_flow_shapes(shape, pgflow._get_flow_shape(ensure_flow_compiled.flow_slug));
    outcome := case
      when differences = '{}' then 'verified'
      when allow_data_loss or pgflow.is_local() then 'recompiled'
      else 'mismatch'
    end;
  end if;

  if outcome = 'recompiled' then
    perform pgflow.delete_flow_and_data(ensure_flow_compiled.flow_slug);
  end if;
  if outcome in ('compiled', 'recompiled') then
    perform pgflow._create_flow_from_shape(ensure_flow_compiled.flow_slug, shape);
  end if;
  return jsonb_build_object('status', outcome, 'differences', to_jsonb(differences));
end
$$;


-- ─── Events ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Where the database has no realtime.send (Supabase has one), events go out as notifications on channel pgflow_events.
-- PostgreSQL refuses a notification of 8000 bytes or more, and an event must never break the transaction that raises it,
-- so a larger one goes out without input and output, and one that is too large even so with nothing but names and a short error.
do $do$
begin
  if to_regprocedure('realtime.send(jsonb, text, text, boolean)') is null then
    if to_regnamespace('realtime') is null then
      create schema realtime;
    end if;
    create function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
    language plpgsql
    set search_path = ''
    as $$
    declare
      slim         jsonb;
      notification text := jsonb_build_object('event', event, 'topic', topic, 'payload', payload, 'timestamp', clock_timestamp());
    begin
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
    revoke execute on function realtime.send(jsonb, text, text, boolean) from public;
  end if;
end
$do$;


-- ─── Rights ─────────────────────────────────────────────────────────────────────────────────────────────────────────

revoke execute on all functions in schema pgflow from public;
