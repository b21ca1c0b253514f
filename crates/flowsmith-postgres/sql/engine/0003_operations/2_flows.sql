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
  -- The clock's own answer, which varies within a statement, could not be looked up in an index.
  until  constant timestamptz := clock_timestamp() - older_than;
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
      where coalesce(r.completed_at, r.failed_at) < until
        and (r.completed_at is not null or r.failed_at is not null)
        and (prune_runs.flow_slug is null or r.flow_slug = prune_runs.flow_slug)
      order by coalesce(r.completed_at, r.failed_at) limit max_runs);
    begin
      perform from pgflow.step_tasks t where t.run_id = any (doomed)
      order by t.run_id, t.step_slug, t.task_index for update;
      perform from pgflow.step_states s where s.run_id = any (doomed) order by s.run_id, s.step_slug for update;
      perform from pgflow.runs r
      where r.run_id = any (doomed) and coalesce(r.completed_at, r.failed_at) < until
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


