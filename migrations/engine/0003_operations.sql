-- The workflow engine, part 3: operating it.
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
    perform pgflow._send_tasks(started, but_completed => true);
  end if;

  select array_agg(s) into ready
  from pgflow.step_states s
  where s.run_id = run.run_id and s.status = 'created' and s.remaining_deps = 0;
  -- No step may be left: the last one may have completed in the moment in which the run was cancelled.
  perform pgflow._go_on(ready, null, array[run.run_id], array[0]);
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


-- ─── Flows ──────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Makes the queue of a flow, where it is missing. With the rights of the engine's owner, so that every queue has one owner,
-- whoever deploys. Rights on it follow those on step_tasks: whoever may update tasks, as a worker does, may read messages,
-- hide and archive them.
create function pgflow._create_queue(flow_slug text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  grantee text;
begin
  if not exists (select from pgflow.flows f where f.flow_slug = _create_queue.flow_slug) then
    raise exception 'there is no flow "%"', _create_queue.flow_slug;
  end if;
  if exists (select from pgmq.meta m where m.queue_name = _create_queue.flow_slug) then
    return;
  end if;
  perform pgmq.create(_create_queue.flow_slug);
  for grantee in
    select distinct pg_get_userbyid(a.grantee)::text
    from pg_class c cross join lateral aclexplode(c.relacl) a
    where c.oid = 'pgflow.step_tasks'::regclass and a.privilege_type = 'UPDATE' and a.grantee not in (0, c.relowner)
  loop
    execute format('grant select, insert, update, delete on pgmq.%I to %I', 'q_' || lower(_create_queue.flow_slug), grantee);
    execute format('grant select, insert on pgmq.%I to %I', 'a_' || lower(_create_queue.flow_slug), grantee);
  end loop;
end
$$;

-- Part 1's, with the queue made as above.
create or replace function pgflow.create_flow(
  flow_slug    text,
  max_attempts integer default null,
  base_delay   integer default null,
  timeout      integer default null
) returns pgflow.flows
language plpgsql
set search_path = pg_catalog, pg_temp
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

  perform pgflow._create_queue(create_flow.flow_slug);
  return flow;
end
$$;

-- Holds a flow's tasks back: none is started until resume_flow, while runs can be started, and tasks in hand be completed.
-- Says whether this changed anything.
create function pgflow.pause_flow(flow_slug text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into pgflow.paused_flows (flow_slug) values (pause_flow.flow_slug)
  on conflict on constraint paused_flows_pkey do nothing;
  return found;
end
$$;

-- Lets a paused flow's tasks go, at once those whose messages start_tasks has put away. Says whether this changed anything.
create function pgflow.resume_flow(flow_slug text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Waits for every start_tasks that has seen the row.
  delete from pgflow.paused_flows p where p.flow_slug = resume_flow.flow_slug;
  if not found then
    return false;
  end if;
  execute format(
    $query$
      update pgmq.%1$I q set vt = clock_timestamp()
      from (select q.msg_id from pgmq.%1$I q where q.vt = 'infinity' order by q.msg_id for update) held
      where q.msg_id = held.msg_id
    $query$, 'q_' || lower(resume_flow.flow_slug));
  return true;
end
$$;

-- Deletes a flow, all it ever ran and its queue. A flow that does not exist is nothing to delete.
create or replace function pgflow.delete_flow_and_data(p_flow_slug text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Nobody starts a run of this flow, nobody works on any task, until this is done.
  perform from pgflow.flows f where f.flow_slug = p_flow_slug for update;
  lock table pgflow.step_tasks in exclusive mode;

  delete from pgflow.step_tasks t using pgflow.runs r where r.flow_slug = p_flow_slug and t.run_id = r.run_id;
  delete from pgflow.step_states s using pgflow.runs r where r.flow_slug = p_flow_slug and s.run_id = r.run_id;
  delete from pgflow.runs r where r.flow_slug = p_flow_slug;
  delete from pgflow.deps d where d.flow_slug = p_flow_slug;
  delete from pgflow.steps s where s.flow_slug = p_flow_slug;
  delete from pgflow.flows f where f.flow_slug = p_flow_slug;

  if exists (select from pgmq.meta m where m.queue_name = p_flow_slug) then
    perform pgmq.drop_queue(p_flow_slug);
  end if;
end
$$;


-- ─── Pruning ────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Finished runs by their end, for prune_runs.
create index runs_by_end on pgflow.runs ((coalesce(completed_at, failed_at)))
  where completed_at is not null or failed_at is not null;

-- Deletes runs that ended longer ago than this, the oldest first and a thousand at most unless told otherwise, with their
-- states, tasks and messages. Returns how many; call it, in transactions of their own, until that is less than asked for.
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
  doomed uuid[];
  ended  bigint;
begin
  if older_than is null or older_than < interval '0' or max_runs is null or max_runs < 0 then
    raise exception 'prune_runs needs an age and a number of runs that are not negative, not % and %', older_than, max_runs
      using errcode = 'invalid_parameter_value';
  end if;
  loop
    doomed := array(
      select r.run_id from pgflow.runs r
      where coalesce(r.completed_at, r.failed_at) < clock_timestamp() - older_than
        and (r.completed_at is not null or r.failed_at is not null)
        and (prune_runs.flow_slug is null or r.flow_slug = prune_runs.flow_slug)
      order by coalesce(r.completed_at, r.failed_at) limit max_runs);
    begin
      perform from pgflow.step_tasks t where t.run_id = any (doomed)
      order by t.run_id, t.step_slug, t.task_index for update;
      perform from pgflow.step_states s where s.run_id = any (doomed) order by s.run_id, s.step_slug for update;
      perform from pgflow.runs r
      where r.run_id = any (doomed) and coalesce(r.completed_at, r.failed_at) < clock_timestamp() - older_than
        and r.status <> 'started'
      order by r.run_id for update;
      get diagnostics ended = row_count;
      if ended <> cardinality(doomed) or (
        select count(*) from (
          select from pgflow.step_tasks t where t.run_id = any (doomed) for update skip locked) held
      ) <> (select count(*) from pgflow.step_tasks t where t.run_id = any (doomed)) then
        -- retry_run came between, or another prune_runs.
        raise exception using errcode = 'FL100';
      end if;
    exception when sqlstate 'FL100' then
      -- Lets go of everything, and looks again.
      continue;
    end;

    perform pgflow._delete_messages(t.flow_slug, array_agg(t.message_id))
    from pgflow.step_tasks t where t.run_id = any (doomed) and t.message_id is not null group by t.flow_slug;
    delete from pgflow.step_tasks t where t.run_id = any (doomed);
    delete from pgflow.step_states s where s.run_id = any (doomed);
    delete from pgflow.runs r where r.run_id = any (doomed);
    return ended;
  end loop;
end
$$;


-- ─── What must always hold ──────────────────────────────────────────────────────────────────────────────────────────

-- Where the engine's rules are broken: in one run, or in all there are, which reads every table. No rows where all is well.
create function pgflow.violations(only_run uuid default null)
returns table (rule text, run_id uuid, step_slug text, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  flow text;
begin
  return query
  select 'a run counts the steps that are not done', r.run_id, null::text,
         format('remaining_steps is %s, %s are not done', r.remaining_steps, s.open)
  from pgflow.runs r
  cross join lateral (
    select count(*) filter (where s.status not in ('completed', 'skipped')) as open
    from pgflow.step_states s where s.run_id = r.run_id) s
  where (only_run is null or r.run_id = only_run) and r.remaining_steps <> s.open;

  return query
  select 'a run completes when no step is left', r.run_id, null::text,
         format('status is %s, remaining_steps is %s', r.status, r.remaining_steps)
  from pgflow.runs r
  where (only_run is null or r.run_id = only_run)
    and r.status <> 'failed' and (r.status = 'completed') <> (r.remaining_steps = 0);

  return query
  select 'a step counts the tasks that are not completed', s.run_id, s.step_slug,
         format('initial_tasks is %s, remaining_tasks is %s, of %s tasks %s are not completed',
                s.initial_tasks, s.remaining_tasks, t.number, t.open)
  from pgflow.step_states s
  cross join lateral (
    select count(*) as number, count(*) filter (where t.status <> 'completed') as open
    from pgflow.step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug) t
  where (only_run is null or s.run_id = only_run)
    and s.remaining_tasks is not null and (s.remaining_tasks, s.initial_tasks) is distinct from (t.open::integer, t.number::integer);

  return query
  select 'a step completes when no task is left', s.run_id, s.step_slug,
         format('status is %s, remaining_tasks is %s', s.status, s.remaining_tasks)
  from pgflow.step_states s
  where (only_run is null or s.run_id = only_run)
    and s.status = 'started' and s.remaining_tasks = 0;

  return query
  select 'a waiting step counts the dependencies that are not done', s.run_id, s.step_slug,
         format('remaining_deps is %s, %s are not done', s.remaining_deps, d.open)
  from pgflow.step_states s
  cross join lateral (
    select count(*) filter (where dep.status not in ('completed', 'skipped')) as open
    from pgflow.deps d join pgflow.step_states dep on dep.run_id = s.run_id and dep.step_slug = d.dep_slug
    where d.flow_slug = s.flow_slug and d.step_slug = s.step_slug) d
  where (only_run is null or s.run_id = only_run)
    and s.status = 'created' and s.remaining_deps <> d.open;

  return query
  select 'a ready step starts', s.run_id, s.step_slug, 'nothing is open that it depends on'
  from pgflow.step_states s join pgflow.runs r on r.run_id = s.run_id
  where (only_run is null or s.run_id = only_run)
    and s.status = 'created' and s.remaining_deps = 0 and r.status = 'started';

  for flow in
    select f.flow_slug from pgflow.flows f
    where only_run is null
       or f.flow_slug = (select r.flow_slug from pgflow.runs r where r.run_id = only_run)
  loop
    if to_regclass(format('pgmq.%I', 'q_' || lower(flow))) is null then
      return query select 'a flow has a queue', null::uuid, null::text, format('pgmq has none named %s', flow);
      continue;
    end if;
    return query execute format(
      $query$
        select 'a message has an open task of a started step and run', r.run_id, q.message ->> 'step_slug',
               format('message %%s, task %%s, step %%s, run %%s', q.msg_id, coalesce(t.status, 'gone'),
                      coalesce(s.status, 'gone'), coalesce(r.status, 'gone'))
        from pgmq.%1$I q
        left join pgflow.step_tasks t
          on t.flow_slug = $1 and t.message_id = q.msg_id and t.run_id::text = q.message ->> 'run_id'
          and t.step_slug = q.message ->> 'step_slug' and t.task_index::text = q.message ->> 'task_index'
        left join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
        left join pgflow.runs r on r.run_id = t.run_id
        where ($2 is null or q.message ->> 'run_id' = $2::text)
          and (t.status in ('queued', 'started') and s.status = 'started' and r.status = 'started') is not true
        union all
        select 'an open task of a started step and run has a message', t.run_id, t.step_slug,
               format('task %%s is %%s, its message %%s is not in the queue', t.task_index, t.status, t.message_id)
        from pgflow.step_tasks t
        join pgflow.step_states s on s.run_id = t.run_id and s.step_slug = t.step_slug
        join pgflow.runs r on r.run_id = t.run_id
        where ($2 is null or t.run_id = $2) and t.flow_slug = $1
          and t.status in ('queued', 'started') and s.status = 'started' and r.status = 'started'
          and (t.permanently_stalled_at is null or t.status = 'queued')
          and not exists (select from pgmq.%1$I q where q.msg_id = t.message_id)
      $query$, 'q_' || lower(flow)
    ) using flow, only_run;
  end loop;
end
$$;


-- ─── Rights ─────────────────────────────────────────────────────────────────────────────────────────────────────────

revoke execute on all functions in schema pgflow from public;
