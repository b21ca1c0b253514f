-- --- Run control ------------------------------------------------------------------------------------------------------
--
-- The functions of operators. Each calls the function of flowsmith's engine that has the same name, and records in
-- flowsmith.events who changed something. Beside an official engine they raise an error.

-- Cancels a run, and returns whether it was started.
create or replace function flowsmith.cancel_run(run_id uuid, reason text default null) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not pgflow._cancel_run(cancel_run.run_id, coalesce(cancel_run.reason, 'Run was cancelled')) then
    return false;
  end if;
  insert into flowsmith.events (kind, detail)
  select 'run-cancelled', jsonb_build_object(
    'run_id', r.run_id, 'flow_slug', r.flow_slug, 'failed_at', r.failed_at, 'reason', cancel_run.reason)
  from pgflow.runs r where r.run_id = cancel_run.run_id;
  return true;
end
$$;

-- Retries a failed run, and returns whether it had failed.
create or replace function flowsmith.retry_run(run_id uuid) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not pgflow._retry_run(retry_run.run_id) then
    return false;
  end if;
  insert into flowsmith.events (kind, detail)
  select 'run-retried', jsonb_build_object('run_id', r.run_id, 'flow_slug', r.flow_slug)
  from pgflow.runs r where r.run_id = retry_run.run_id;
  return true;
end
$$;

-- Pauses a flow, and returns whether it was not paused.
create or replace function flowsmith.pause_flow(flow_slug text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not pgflow.pause_flow(pause_flow.flow_slug) then
    return false;
  end if;
  insert into flowsmith.events (kind, detail)
  values ('flow-paused', jsonb_build_object('flow_slug', pause_flow.flow_slug));
  return true;
end
$$;

-- Resumes a flow, and returns whether it was paused.
create or replace function flowsmith.resume_flow(flow_slug text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not pgflow.resume_flow(resume_flow.flow_slug) then
    return false;
  end if;
  insert into flowsmith.events (kind, detail)
  values ('flow-resumed', jsonb_build_object('flow_slug', resume_flow.flow_slug));
  return true;
end
$$;

-- Deletes finished runs, and returns their number.
create or replace function flowsmith.prune_runs(older_than interval, flow_slug text default null, max_runs integer default 1000)
returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  pruned constant bigint := pgflow.prune_runs(older_than, prune_runs.flow_slug, max_runs);
begin
  if pruned > 0 then
    insert into flowsmith.events (kind, detail)
    values ('runs-pruned', jsonb_build_object(
      'older_than_seconds', extract(epoch from older_than)::float8, 'runs', pruned,
      'flow_slugs', case when prune_runs.flow_slug is not null then array[prune_runs.flow_slug] end));
  end if;
  return pruned;
end
$$;

-- Queues stalled tasks again, and returns their number.
create or replace function flowsmith.requeue_stalled_tasks() returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  requeued constant integer := pgflow.requeue_stalled_tasks();
begin
  if requeued > 0 then
    insert into flowsmith.events (kind, detail) values ('tasks-requeued', jsonb_build_object('tasks', requeued));
  end if;
  return requeued;
end
$$;

