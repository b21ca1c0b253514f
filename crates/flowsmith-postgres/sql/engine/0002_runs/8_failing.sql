-- ─── Failing tasks ──────────────────────────────────────────────────────────────────────────────────────────────────

-- Part 1's, null where an argument is.
create or replace function pgflow.calculate_retry_delay(base_delay numeric, attempts_count integer) returns integer
language sql immutable parallel safe
return case when base_delay is not null and attempts_count is not null then
  least(floor(base_delay * power(2::numeric, least(attempts_count, 200)::numeric)), 2147483647)::integer end;

-- Fails an attempt at a started task and returns the task as it is then: queued again where attempts are left, else failed,
-- and then its step does what its `when_exhausted` says. Where the run has failed already, the task fails and no more.
create function pgflow.fail_task(run_id uuid, step_slug text, task_index integer, error_message text)
returns setof pgflow.step_tasks
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  clock   constant timestamptz := clock_timestamp();
  task    pgflow.step_tasks;
  state   pgflow.step_states;
  run     pgflow.runs;
  step    pgflow.steps;
  flow    pgflow.flows;
  skipped pgflow.step_states[];
  ready   pgflow.step_states[];
  started pgflow.step_states[];
  failed  uuid[];
begin
  select t.* into task from pgflow.step_tasks t
  where t.run_id = fail_task.run_id and t.step_slug = fail_task.step_slug and t.task_index = fail_task.task_index
    and t.status <> 'queued'
  for no key update;
  if not found then
    -- One that waits for a worker is not held: start_tasks would leave it out.
    return query select t.* from pgflow.step_tasks t
      where t.run_id = fail_task.run_id and t.step_slug = fail_task.step_slug and t.task_index = fail_task.task_index;
    return;
  end if;
  select s.* into state from pgflow.step_states s where s.run_id = task.run_id and s.step_slug = task.step_slug
  for no key update;
  select r.* into run from pgflow.runs r where r.run_id = task.run_id for no key update;
  select s.* into step from pgflow.steps s where s.flow_slug = task.flow_slug and s.step_slug = task.step_slug;
  select f.* into flow from pgflow.flows f where f.flow_slug = task.flow_slug;

  if task.status <> 'started' or state.status <> 'started' and run.status <> 'failed' then
    perform pgflow._archive_late(task.run_id, task.step_slug, task.task_index);

  elsif run.status = 'started' and task.attempts_count < coalesce(step.opt_max_attempts, flow.opt_max_attempts)
    -- The recovery has archived its message: it had its attempts.
    and task.permanently_stalled_at is null
  then
    update pgflow.step_tasks t
    set status = 'queued', started_at = null, error_message = fail_task.error_message
    where t.run_id = task.run_id and t.step_slug = task.step_slug and t.task_index = task.task_index
    returning t.* into task;
    perform pgflow._delay(task.flow_slug, task.message_id,
      pgflow.calculate_retry_delay(coalesce(step.opt_base_delay, flow.opt_base_delay), task.attempts_count));

  else
    update pgflow.step_tasks t
    set status = 'failed', failed_at = greatest(clock, t.started_at), error_message = fail_task.error_message
    where t.run_id = task.run_id and t.step_slug = task.step_slug and t.task_index = task.task_index
    returning t.* into task;

    if run.status <> 'started' then
      perform pgflow._archive(task.flow_slug, array[task.message_id]);
    elsif step.when_exhausted = 'fail' then
      perform pgflow._fail_step(task.run_id, task.step_slug, task.error_message);
      perform pgflow._archive_with_runs(task.flow_slug, array[task.message_id], array[task.run_id]);
    else
      skipped := pgflow._skip(array[state], 'handler_failed', task.error_message, step.when_exhausted = 'skip-cascade');
      if step.when_exhausted = 'skip' then
        select r.ready, r.started into ready, started from pgflow._release(skipped, array[task.run_id]) r;
      end if;
      failed := pgflow._go_on(ready, started, array[task.run_id], array[cardinality(skipped)]);
      perform pgflow._archive_with_runs(task.flow_slug, array(
        select t.message_id from pgflow.step_tasks t
        where t.run_id = task.run_id and t.step_slug = task.step_slug
          and (t.status in ('queued', 'started') or t.message_id = task.message_id)), failed);
    end if;
  end if;
  return next task;
end
$$;


-- ─── Recovery ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- Queues tasks again whose worker has gone silent: started longer ago than their timeout and 30 seconds. Up to 3 times
-- each; after that the message is archived and the task marked. Rows that others hold are left for the next call. Returns
-- how many were queued.
create function pgflow.requeue_stalled_tasks() returns integer
language plpgsql
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
  over     pgflow.step_tasks[];
  requeued integer;
begin
  -- A timeout is a second at least, which lets the index leave out what has started just now.
  select array_agg(t.task) filter (where not t.is_over), array_agg(t.task) filter (where t.is_over) into stalled, over
  from (
    select held.task, s.status <> 'started' or r.status <> 'started' as is_over
    from (
      select t.run_id, t.step_slug, t.task_index, t.flow_slug, t.started_at
      from pgflow.step_tasks t
      where t.started_at < clock - interval '31 seconds' and t.started_at is not null
        and t.completed_at is null and t.failed_at is null and t.permanently_stalled_at is null
      offset 0
    ) old
    cross join lateral (
      select x.opt_timeout from pgflow.steps x where x.flow_slug = old.flow_slug and x.step_slug = old.step_slug offset 0) step
    cross join lateral (select x.opt_timeout from pgflow.flows x where x.flow_slug = old.flow_slug offset 0) flow
    cross join lateral (
      select x.status from pgflow.step_states x where x.run_id = old.run_id and x.step_slug = old.step_slug offset 0) s
    cross join lateral (select x.status from pgflow.runs x where x.run_id = old.run_id offset 0) r
    cross join lateral (
      select x as task from pgflow.step_tasks x
      where x.run_id = old.run_id and x.step_slug = old.step_slug and x.task_index = old.task_index
        and x.status = 'started' and x.started_at = old.started_at
      for no key update skip locked offset 0) held
    where old.started_at < clock - make_interval(secs => coalesce(step.opt_timeout, flow.opt_timeout)) - interval '30 seconds'
  ) t;

  update pgflow.step_tasks t
  set status           = case when t.requeued_count < 3 then 'queued' else t.status end,
      started_at       = case when t.requeued_count < 3 then null else t.started_at end,
      last_requeued_at = case when t.requeued_count < 3 then clock else t.last_requeued_at end,
      requeued_count   = least(t.requeued_count + 1, 3),
      permanently_stalled_at = case when t.requeued_count < 3 then null else clock end
  from unnest(stalled) x
  cross join lateral (
    select y.ctid from pgflow.step_tasks y
    where y.run_id = x.run_id and y.step_slug = x.step_slug and y.task_index = x.task_index offset 0) place
  where t.ctid = place.ctid;

  -- Nobody will finish the tasks of a step or run that is over: marked, so that the next call need not look at them.
  update pgflow.step_tasks t
  set permanently_stalled_at = clock
  from unnest(over) x
  cross join lateral (
    select y.ctid from pgflow.step_tasks y
    where y.run_id = x.run_id and y.step_slug = x.step_slug and y.task_index = x.task_index offset 0) place
  where t.ctid = place.ctid;

  -- Archived first: that may wait for messages that others hold, and must hold none that is higher.
  perform pgflow._archive(x.flow_slug, array_agg(x.message_id))
  from unnest(stalled) x where x.requeued_count >= 3 group by x.flow_slug order by x.flow_slug;
  perform pgflow._hide(x.flow_slug, array_agg(x.message_id), array_agg(0))
  from unnest(stalled) x where x.requeued_count < 3 group by x.flow_slug order by x.flow_slug;

  select count(*)::integer into requeued from unnest(stalled) x where x.requeued_count < 3;
  return requeued;
end
$$;


