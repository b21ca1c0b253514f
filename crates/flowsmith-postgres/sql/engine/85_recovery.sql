-- Recovery of stalled tasks
-- =========================

-- Queues tasks again whose workers have stopped responding: those that started longer ago than their timeout and 30
-- seconds. A task is queued again up to 3 times; after that, its message is archived and the task is marked as
-- permanently stalled. Rows that other sessions have locked are left to the next call. Returns the number of tasks that
-- were queued again.
create function pgflow.requeue_stalled_tasks() returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  clock    constant timestamptz := clock_timestamp();
  stalled  pgflow.step_tasks[];
  orphaned pgflow.step_tasks[];
begin
  select locked.stalled, locked.orphaned into stalled, orphaned from pgflow._lock_stalled_tasks(clock) locked;

  update pgflow.step_tasks task
  set status           = case when task.requeued_count < 3 then 'queued' else task.status end,
      started_at       = case when task.requeued_count < 3 then null else task.started_at end,
      last_requeued_at = case when task.requeued_count < 3 then clock else task.last_requeued_at end,
      requeued_count   = least(task.requeued_count + 1, 3),
      permanently_stalled_at = case when task.requeued_count < 3 then null else clock end
  from unnest(stalled) given
  cross join lateral (
    select locked.ctid from pgflow.step_tasks locked
    where locked.run_id = given.run_id and locked.step_slug = given.step_slug and locked.task_index = given.task_index
    offset 0) locked
  where task.ctid = locked.ctid;

  -- No worker will finish an orphaned task. It is marked to keep it out of the next call.
  update pgflow.step_tasks task
  set permanently_stalled_at = clock
  from unnest(orphaned) given
  cross join lateral (
    select locked.ctid from pgflow.step_tasks locked
    where locked.run_id = given.run_id and locked.step_slug = given.step_slug and locked.task_index = given.task_index
    offset 0) locked
  where task.ctid = locked.ctid;

  -- Archives first: archiving may wait for messages that other sessions have locked, and must not hold locks on higher
  -- ids then.
  perform pgflow._archive_messages(task.flow_slug, array_agg(task.message_id))
  from unnest(stalled) task where task.requeued_count >= 3 group by task.flow_slug order by task.flow_slug;
  perform pgflow._set_vt_skip_locked(task.flow_slug, array_agg(task.message_id), array_agg(0))
  from unnest(stalled) task where task.requeued_count < 3 group by task.flow_slug order by task.flow_slug;

  return (select count(*)::integer from unnest(stalled) task where task.requeued_count < 3);
end
$$;

-- Locks tasks that started longer ago than their timeout and 30 seconds, except those that other sessions have locked.
-- Returns the tasks of started steps and runs as stalled, and all others as orphaned.
create function pgflow._lock_stalled_tasks(
  clock timestamptz, out stalled pgflow.step_tasks[], out orphaned pgflow.step_tasks[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- The shortest timeout is one second, so the index can exclude tasks that started less than 31 seconds ago.
  select array_agg(overdue.task) filter (where overdue.is_stalled),
         array_agg(overdue.task) filter (where not overdue.is_stalled)
    into stalled, orphaned
  from (
    select locked.task, state.status = 'started' and run.status = 'started' as is_stalled
    from (
      select task.run_id, task.step_slug, task.task_index, task.flow_slug, task.started_at
      from pgflow.step_tasks task
      where task.started_at < clock - interval '31 seconds' and task.started_at is not null
        and task.completed_at is null and task.failed_at is null and task.permanently_stalled_at is null
      offset 0
    ) candidate
    cross join lateral (
      select step.opt_timeout from pgflow.steps step
      where step.flow_slug = candidate.flow_slug and step.step_slug = candidate.step_slug offset 0) step
    cross join lateral (
      select flow.opt_timeout from pgflow.flows flow where flow.flow_slug = candidate.flow_slug offset 0) flow
    cross join lateral (
      select state.status from pgflow.step_states state
      where state.run_id = candidate.run_id and state.step_slug = candidate.step_slug offset 0) state
    cross join lateral (select run.status from pgflow.runs run where run.run_id = candidate.run_id offset 0) run
    cross join lateral (
      select task from pgflow.step_tasks task
      where task.run_id = candidate.run_id and task.step_slug = candidate.step_slug
        and task.task_index = candidate.task_index and task.status = 'started' and task.started_at = candidate.started_at
      for no key update skip locked offset 0) locked
    where candidate.started_at
      < clock - make_interval(secs => coalesce(step.opt_timeout, flow.opt_timeout)) - interval '30 seconds'
  ) overdue;
end
$$;


