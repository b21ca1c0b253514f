-- The workflow engine, part 3: operating it. Its files are one script, run in the order of their names.
--
--   poll_tasks                  reads, starts and returns tasks in one round trip
--   cancel_run, retry_run       end a run; take a failed one up again
--   create_flow                 part 1's, with queues that have one owner
--   pause_flow, resume_flow     hold a flow's tasks back; let them go
--   prune_runs                  deletes what has been over for long
--   delete_flow_and_data        part 1's, in the lock order of part 2
--   violations                  what must always hold, and where it does not
--
-- Lock order and the way in which statements find rows: see part 2.


-- ─── Working ────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Reads up to qty messages, starts their tasks and returns these; see start_tasks.
create function pgflow.poll_tasks(queue_name text, worker_id uuid, qty integer default 10)
returns setof pgflow.step_task_record
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
  -- As long as start_tasks would hide the message of a step without a timeout of its own.
  hidden_for constant integer := (
    select least(f.opt_timeout, 2147483645) + 2 from pgflow.flows f where f.flow_slug = poll_tasks.queue_name);
begin
  -- Before the queue: delete_flow_and_data takes them in this order.
  lock table pgflow.step_tasks in row exclusive mode;
  if hidden_for is null then
    raise exception 'there is no flow "%"', poll_tasks.queue_name
      using errcode = 'foreign_key_violation', hint = 'Give the slug of a flow in pgflow.flows, which is also its queue''s name.';
  end if;
  -- Nothing is read, so nothing has to be put away.
  if exists (select from pgflow.paused_flows p where p.flow_slug = poll_tasks.queue_name) then
    return;
  end if;
  return query select * from pgflow._start_tasks(
    poll_tasks.queue_name,
    pgflow._read(poll_tasks.queue_name, hidden_for, coalesce(poll_tasks.qty, 10)),
    poll_tasks.worker_id,
    hidden_for);
end
$$;


-- ─── Runs ───────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Ends a started run, which is failed then, and returns it. Its steps and tasks stay as they are, so that retry_run can take
-- it up; a task that a worker has in hand changes nothing any more. A run that is over is returned as it is.
create function pgflow.cancel_run(run_id uuid, reason text default 'Run was cancelled') returns setof pgflow.runs
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
  run pgflow.runs;
begin
  update pgflow.runs r
  set status = 'failed', failed_at = greatest(clock_timestamp(), r.started_at)
  where r.run_id = cancel_run.run_id and r.status = 'started'
  returning r.* into run;
  if found then
    perform pgflow._send_run_failed(run, jsonb_build_object('error_message', cancel_run.reason));
    perform pgflow._archive_with_runs(run.flow_slug, null, array[run.run_id]);
  end if;
  return query select r.* from pgflow.runs r where r.run_id = cancel_run.run_id;
end
$$;

-- Takes a failed run up again, and returns it: steps that failed or were under way go on with all their attempts, without
-- those tasks of a map that have completed; conditions that failed the run are decided anew; what has completed stays. A run
-- that has not failed is returned as it is.
create function pgflow.retry_run(run_id uuid) returns setof pgflow.runs
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
  run      pgflow.runs;
  messages bigint[];
  started  pgflow.step_states[];
  ready    pgflow.step_states[];
begin
  loop
    if not exists (select from pgflow.runs r where r.run_id = retry_run.run_id and r.status = 'failed') then
      return query select r.* from pgflow.runs r where r.run_id = retry_run.run_id;
      return;
    end if;
    begin
      perform from pgflow.step_tasks t
      where t.run_id = retry_run.run_id order by t.step_slug, t.task_index for no key update;
      perform from pgflow.step_states s
      where s.run_id = retry_run.run_id and s.status in ('started', 'failed') order by s.step_slug for no key update;
      select r.* into run from pgflow.runs r
      where r.run_id = retry_run.run_id and r.status = 'failed' for no key update;
      -- Tasks that have come meanwhile are taken only where that needs no waiting: they come before states and runs.
      exit when run.run_id is not null and (
        select count(*) from (
          select from pgflow.step_tasks t where t.run_id = run.run_id for no key update skip locked) held
      ) = (select count(*) from pgflow.step_tasks t where t.run_id = run.run_id);
      raise exception using errcode = 'FL100';
    exception when sqlstate 'FL100' then
      -- Lets go of everything; the next round waits for whoever it is.
    end;
  end loop;
  update pgflow.runs r
  set status = 'started', failed_at = null
  where r.run_id = run.run_id
  returning r.* into run;

  perform pgflow._send_run_started(run);

  -- Their messages are in the archive; the tasks will have new ones.
  with gone as (
    delete from pgflow.step_tasks t
    where t.run_id = run.run_id and t.status <> 'completed'
      and (select s.status from pgflow.step_states s where s.run_id = run.run_id and s.step_slug = t.step_slug)
        in ('started', 'failed')
    returning t.message_id
  )
  select array_agg(g.message_id) into messages from gone g;
  perform pgflow._delete_messages(run.flow_slug, messages);

  -- A step that its condition failed has never started.
  update pgflow.step_states s
  set status = 'created', failed_at = null, error_message = null
  where s.run_id = run.run_id and s.status = 'failed' and s.started_at is null;
  with told as (
    update pgflow.step_states s
    set status = 'started', failed_at = null, error_message = null, started_at = greatest(clock, s.created_at),
        remaining_tasks = s.initial_tasks - (
          select count(*) from pgflow.step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug)
    where s.run_id = run.run_id and s.status in ('started', 'failed')
    returning s as state
  )
  select array_agg(t.state) into started from told t;
  if started is not null then
    perform pgflow._queue_tasks(started, but_completed => true);
  end if;

  select array_agg(s) into ready
  from pgflow.step_states s
  where s.run_id = run.run_id and s.status = 'created' and s.remaining_deps = 0;
  -- No step may be left: the last one may have completed in the moment in which the run was cancelled. And a condition that is
  -- still unmet fails the run again, with what was queued above.
  if pgflow._go_on(ready, null, array[run.run_id], array[0]) is not null then
    perform pgflow._archive_with_runs(run.flow_slug, null, array[run.run_id]);
  end if;
  return query select r.* from pgflow.runs r where r.run_id = run.run_id;
end
$$;

-- Deletes messages of a queue and of its archive; nothing where the queue is gone.
create function pgflow._delete_messages(queue_name text, msg_ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if cardinality(msg_ids) > 0 and to_regclass(format('pgmq.%I', 'a_' || lower(queue_name))) is not null then
    execute format('delete from pgmq.%I a where a.msg_id = any ($1)', 'a_' || lower(queue_name)) using msg_ids;
    execute format('delete from pgmq.%I q where q.msg_id = any ($1)', 'q_' || lower(queue_name)) using msg_ids;
  end if;
end
$$;


