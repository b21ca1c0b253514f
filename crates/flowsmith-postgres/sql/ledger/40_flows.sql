-- --- Flows ------------------------------------------------------------------------------------------------------------

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
  perform pgmq.drop_queue(drop_flow.flow_slug) from pgmq.meta queue where queue.queue_name = drop_flow.flow_slug;
  -- Through the run ids, which are indexed; the slug is not.
  delete from pgflow.step_tasks t using pgflow.runs r where r.flow_slug = drop_flow.flow_slug and t.run_id = r.run_id;
  delete from pgflow.step_states s using pgflow.runs r where r.flow_slug = drop_flow.flow_slug and s.run_id = r.run_id;
  delete from pgflow.runs r where r.flow_slug = drop_flow.flow_slug;
  delete from pgflow.deps d where d.flow_slug = drop_flow.flow_slug;
  delete from pgflow.steps s where s.flow_slug = drop_flow.flow_slug;
  delete from pgflow.flows f where f.flow_slug = drop_flow.flow_slug;
end
$$;

-- Resets each flow that the plan of a migration replaces.
create or replace function flowsmith.reset_flows(plan text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  begun constant jsonb := flowsmith.begun_plan(plan);
begin
  perform flowsmith.reset_flow(change.flow_slug)
  from flowsmith.plan_changes(begun) change where change.action = 'alter' and change.class = 'replace';
end
$$;

-- Drops each flow that the plan of a migration deletes.
create or replace function flowsmith.drop_flows(plan text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  begun constant jsonb := flowsmith.begun_plan(plan);
begin
  perform flowsmith.drop_flow(change.flow_slug)
  from flowsmith.plan_changes(begun) change where change.action = 'drop';
end
$$;

-- Changes the options of flows and steps in place: those that the plan of a migration lists as differences, and all options
-- of a flow whose steps it replaces, because pgflow.create_flow does not change a flow that exists.
create or replace function flowsmith.tune_flows(plan text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  begun constant jsonb := flowsmith.begun_plan(plan);
begin
  update pgflow.flows f
  set opt_max_attempts = wanted.max_attempts, opt_base_delay = wanted.base_delay, opt_timeout = wanted.timeout
  from flowsmith.expected_flows(array(
    select change.flow_slug from flowsmith.plan_changes(begun) change
    where change.action = 'alter' and change.class = 'replace')) wanted
  where f.flow_slug = wanted.flow_slug
    and (f.opt_max_attempts, f.opt_base_delay, f.opt_timeout)
      is distinct from (wanted.max_attempts, wanted.base_delay, wanted.timeout);

  update pgflow.flows f
  set opt_max_attempts = wanted.max_attempts, opt_base_delay = wanted.base_delay, opt_timeout = wanted.timeout
  from (
    select tuned.flow_slug,
           flowsmith.new_value(tuned.options, 'max_attempts', before.opt_max_attempts) as max_attempts,
           flowsmith.new_value(tuned.options, 'base_delay', before.opt_base_delay) as base_delay,
           flowsmith.new_value(tuned.options, 'timeout', before.opt_timeout) as timeout
    from flowsmith.planned_options(begun) tuned
    join pgflow.flows before on before.flow_slug = tuned.flow_slug
    where tuned.step_slug is null
  ) wanted
  where f.flow_slug = wanted.flow_slug
    and (f.opt_max_attempts, f.opt_base_delay, f.opt_timeout)
      is distinct from (wanted.max_attempts, wanted.base_delay, wanted.timeout);

  update pgflow.steps s
  set opt_max_attempts = wanted.max_attempts, opt_base_delay = wanted.base_delay, opt_timeout = wanted.timeout,
      opt_start_delay = wanted.start_delay
  from (
    select tuned.flow_slug, tuned.step_slug,
           flowsmith.new_value(tuned.options, 'max_attempts', before.opt_max_attempts) as max_attempts,
           flowsmith.new_value(tuned.options, 'base_delay', before.opt_base_delay) as base_delay,
           flowsmith.new_value(tuned.options, 'timeout', before.opt_timeout) as timeout,
           flowsmith.new_value(tuned.options, 'start_delay', before.opt_start_delay) as start_delay
    from flowsmith.planned_options(begun) tuned
    join pgflow.steps before on before.flow_slug = tuned.flow_slug and before.step_slug = tuned.step_slug
  ) wanted
  where s.flow_slug = wanted.flow_slug and s.step_slug = wanted.step_slug
    and (s.opt_max_attempts, s.opt_base_delay, s.opt_timeout, s.opt_start_delay)
      is distinct from (wanted.max_attempts, wanted.base_delay, wanted.timeout, wanted.start_delay);
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
