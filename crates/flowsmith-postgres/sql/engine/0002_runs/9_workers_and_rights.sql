-- ─── Workers ────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Notes a function that keeps workers alive.
create function pgflow.track_worker_function(function_name text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into pgflow.worker_functions as f (function_name, updated_at)
  values (track_worker_function.function_name, clock_timestamp())
  on conflict on constraint worker_functions_pkey do update set updated_at = clock_timestamp()
$$;

-- Notes that a worker has ended.
create function pgflow.mark_worker_stopped(worker_id uuid) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update pgflow.workers w set stopped_at = clock_timestamp() where w.worker_id = mark_worker_stopped.worker_id
$$;

-- What workers of levels before 0.7 called: gives them nothing, and says so.
create function pgflow.poll_for_tasks(
  queue_name text, vt integer, qty integer, max_poll_seconds integer default 5, poll_interval_ms integer default 100
) returns setof pgflow.step_task_record
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise notice 'poll_for_tasks is deprecated and returns nothing: read messages with pgmq.read_with_poll and call start_tasks, or call poll_tasks';
end
$$;


-- ─── Search paths ───────────────────────────────────────────────────────────────────────────────────────────────────

-- An empty search_path still has pg_temp, and has it first for the names of types: a caller could put a type of its own
-- there, with a check that runs with the rights of a function's owner. So it is named, and last, here and in part 1.
do $do$
declare
  function regprocedure;
begin
  for function in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where array_to_string(p.proconfig, ' ') like '%search_path=""%'
      and (p.pronamespace = 'pgflow'::regnamespace
        or p.oid = to_regprocedure('realtime.send(jsonb, text, text, boolean)') and p.prosrc like '%pgflow_events%')
  loop
    execute format('alter function %s set search_path = pg_catalog, pg_temp', function);
  end loop;
end
$do$;


-- ─── Rights ─────────────────────────────────────────────────────────────────────────────────────────────────────────

revoke execute on all functions in schema pgflow from public;
