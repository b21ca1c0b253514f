-- Workers
-- =======

-- Registers a function that keeps workers alive.
create function pgflow.track_worker_function(function_name text) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into pgflow.worker_functions as function (function_name, updated_at)
  values (track_worker_function.function_name, clock_timestamp())
  on conflict on constraint worker_functions_pkey do update set updated_at = clock_timestamp()
$$;

-- Records that a worker has stopped.
create function pgflow.mark_worker_stopped(worker_id uuid) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  update pgflow.workers worker set stopped_at = clock_timestamp() where worker.worker_id = mark_worker_stopped.worker_id
$$;

-- Called by workers of levels before 0.7: returns no tasks and raises a notice.
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


