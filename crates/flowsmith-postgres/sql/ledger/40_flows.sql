-- ─── Flows ────────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Deletes the steps of a flow whose shape changes; the migration then creates the new ones. Does nothing if the flow does
-- not exist or already has the expected definition. Raises an error if the flow has runs, because a run has copied the
-- steps with which it started. The lock on pgflow.runs blocks new runs until the migration ends. It is taken before the
-- lock on the flow's row, because starting a run takes the two in that order.
create or replace function flowsmith.reset_flow(flow_slug text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if flowsmith.flows_match(array[reset_flow.flow_slug]) then
    return;
  end if;
  lock table pgflow.runs in share row exclusive mode;
  perform 1 from pgflow.flows f where f.flow_slug = reset_flow.flow_slug for update;
  if not found then
    return;
  end if;
  if exists (select 1 from pgflow.runs r where r.flow_slug = reset_flow.flow_slug) then
    raise exception 'flowsmith: flow % has % run(s), so its steps cannot be replaced', reset_flow.flow_slug,
        (select count(*) from pgflow.runs r where r.flow_slug = reset_flow.flow_slug)
      using errcode = 'FL002', hint = 'Raise `version:` in the flow file: the new version gets its own queue, and the old one drains.';
  end if;
  delete from pgflow.deps d where d.flow_slug = reset_flow.flow_slug;
  delete from pgflow.steps s where s.flow_slug = reset_flow.flow_slug;
end
$$;

-- Deletes a flow, its queue and all its runs. Does nothing if the flow does not exist. Raises an error if one of its runs
-- is started.
create or replace function flowsmith.drop_flow(flow_slug text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  started_runs bigint;
begin
  lock table pgflow.runs in share row exclusive mode;
  perform 1 from pgflow.flows f where f.flow_slug = drop_flow.flow_slug for update;
  if not found then
    return;
  end if;
  select count(*) into started_runs
  from pgflow.runs r where r.flow_slug = drop_flow.flow_slug and r.status = 'started';
  if started_runs > 0 then
    raise exception 'flowsmith: flow % has % started run(s), so it cannot be deleted', drop_flow.flow_slug, started_runs
      using errcode = 'FL002', hint = 'Wait until they finish, or cancel them.';
  end if;
  -- flowsmith's engine keeps a queue that belongs to another role.
  if pg_catalog.to_regprocedure('pgflow._drop_queue(text)') is not null then
    perform pgflow._drop_queue(drop_flow.flow_slug);
  else
    perform pgmq.drop_queue(drop_flow.flow_slug) from pgmq.meta queue where queue.queue_name = drop_flow.flow_slug;
  end if;
  -- Through the run ids, which are indexed; the slug is not.
  delete from pgflow.step_tasks t using pgflow.runs r where r.flow_slug = drop_flow.flow_slug and t.run_id = r.run_id;
  delete from pgflow.step_states s using pgflow.runs r where r.flow_slug = drop_flow.flow_slug and s.run_id = r.run_id;
  delete from pgflow.runs r where r.flow_slug = drop_flow.flow_slug;
  delete from pgflow.deps d where d.flow_slug = drop_flow.flow_slug;
  delete from pgflow.steps s where s.flow_slug = drop_flow.flow_slug;
  delete from pgflow.flows f where f.flow_slug = drop_flow.flow_slug;
end
$$;

-- Starts a run of the current version of a flow. Raises an error if no version is current.
create or replace function flowsmith.start_flow(flow text, input jsonb, run_id uuid default null)
returns setof pgflow.runs
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  current_slug text;
begin
  select v.flow_slug into current_slug
  from flowsmith.flow_versions v where v.flow = start_flow.flow and v.state = 'current';
  if not found then
    if exists (select 1 from flowsmith.flow_versions v where v.flow = start_flow.flow) then
      raise exception 'flowsmith: flow % has no current version', start_flow.flow
        using errcode = 'FL002', hint = 'It is retired.';
    end if;
    raise exception 'flowsmith: flow % has no current version', start_flow.flow
      using errcode = 'FL006', hint = 'No applied migration created it.';
  end if;
  return query select run.* from pgflow.start_flow(current_slug, start_flow.input, start_flow.run_id) run;
end
$$;

