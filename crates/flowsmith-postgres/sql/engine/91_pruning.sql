-- Pruning
-- =======

-- Deletes runs that ended longer ago than an interval, with their states, tasks and messages: the oldest first, at most
-- max_runs. Returns the number of deleted runs. Call it again, each time in a new transaction, until it returns less
-- than max_runs.
create function pgflow.prune_runs(older_than interval, flow_slug text default null, max_runs integer default 1000)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  -- A constant, because an index cannot be searched for a volatile expression.
  cutoff constant timestamptz := clock_timestamp() - older_than;
  doomed uuid[];
begin
  if older_than is null or older_than < interval '0' or max_runs is null or max_runs < 0 then
    raise exception 'prune_runs needs an age and a number of runs that are not negative, not % and %', older_than, max_runs
      using errcode = 'invalid_parameter_value';
  end if;
  loop
    doomed := array(
      select run.run_id from pgflow.runs run
      where coalesce(run.completed_at, run.failed_at) < cutoff
        and (run.completed_at is not null or run.failed_at is not null)
        and (prune_runs.flow_slug is null or run.flow_slug = prune_runs.flow_slug)
      order by coalesce(run.completed_at, run.failed_at) limit max_runs);
    exit when pgflow._lock_finished_runs(doomed, cutoff);
  end loop;

  perform pgflow._delete_messages(task.flow_slug, array_agg(task.message_id), doomed)
  from pgflow.step_tasks task where task.run_id = any (doomed) and task.message_id is not null group by task.flow_slug;
  delete from pgflow.step_tasks task where task.run_id = any (doomed);
  delete from pgflow.step_states state where state.run_id = any (doomed);
  delete from pgflow.runs run where run.run_id = any (doomed);
  return cardinality(doomed)::bigint;
end
$$;

-- Locks runs that ended before a time, with their tasks and states, in the lock order. Returns false and releases the
-- locks if retry_run or another prune_runs has changed a run or its tasks meanwhile.
create function pgflow._lock_finished_runs(run_ids uuid[], cutoff timestamptz) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  locked_runs bigint;
begin
  perform from pgflow.step_tasks task where task.run_id = any (run_ids)
  order by task.run_id, task.step_slug, task.task_index for update;
  perform from pgflow.step_states state where state.run_id = any (run_ids)
  order by state.run_id, state.step_slug for update;
  perform from pgflow.runs run
  where run.run_id = any (run_ids) and coalesce(run.completed_at, run.failed_at) < cutoff and run.status <> 'started'
  order by run.run_id for update;
  get diagnostics locked_runs = row_count;
  if locked_runs <> cardinality(run_ids) or (
    select count(*) from (
      select from pgflow.step_tasks task where task.run_id = any (run_ids) for update skip locked) locked
  ) <> (select count(*) from pgflow.step_tasks task where task.run_id = any (run_ids)) then
    -- Rolls back this block, which releases the locks.
    raise exception using errcode = 'FL100';
  end if;
  return true;
exception when sqlstate 'FL100' then
  return false;
end
$$;


