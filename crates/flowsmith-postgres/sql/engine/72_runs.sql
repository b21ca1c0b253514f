-- Runs
-- ====

-- Returns the output of a finished run: an object of the outputs of its completed leaf steps, or null if its flow has
-- no steps. A table function, which the planner inlines.
create function pgflow._run_output(flow_slug text, run_id uuid) returns table (output jsonb)
language sql stable
begin atomic
  select coalesce(jsonb_object_agg(state.step_slug, state.output) filter (where state.status = 'completed'),
                  case when count(*) > 0 then '{}'::jsonb end)
  from pgflow.step_states state
  where state.run_id = _run_output.run_id
    and not exists (
      select from pgflow.deps dependency
      where dependency.flow_slug = _run_output.flow_slug and dependency.dep_slug = state.step_slug offset 0);
end;

-- Subtracts finished steps from the remaining steps of runs that the caller has locked: counts[i] from run_ids[i].
-- Completes started runs in which no step remains.
create function pgflow._record_finished_steps(run_ids uuid[], counts integer[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  completed pgflow.runs[];
begin
  with changed as (
    update pgflow.runs run
    set remaining_steps = run.remaining_steps - finished.steps,
        status          = case when finished.is_last then 'completed' else run.status end,
        completed_at    = case when finished.is_last then greatest(clock_timestamp(), run.started_at) end,
        output          = finished.output
    from (
      select locked.ctid, given.steps, locked.is_last,
             case when locked.is_last then (
               select result.output from pgflow._run_output(locked.flow_slug, given.run_id) result) end as output
      from (
        select argument.run_id, sum(argument.steps)::integer as steps
        from unnest(run_ids, counts) argument (run_id, steps) group by argument.run_id
      ) given
      cross join lateral (
        select locked.ctid, locked.flow_slug, locked.status = 'started' and locked.remaining_steps = given.steps as is_last
        from pgflow.runs locked where locked.run_id = given.run_id offset 0) locked
      offset 0
    ) finished
    where run.ctid = finished.ctid
    returning run
  )
  select array_agg(changed.run) filter (where (changed.run).status = 'completed' and pgflow._events_enabled())
    into completed
  from changed;

  if completed is not null then
    perform pgflow._send_run_completed(run) from unnest(completed) run;
  end if;
end
$$;

-- Locks a run and subtracts one finished step from its remaining steps, as _record_finished_steps does for sets.
create function pgflow._record_finished_step(run_id uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  is_last       boolean;
  completed_run pgflow.runs;
begin
  select run.status = 'started' and run.remaining_steps = 1 into is_last
  from pgflow.runs run where run.run_id = _record_finished_step.run_id for no key update;
  if is_last then
    update pgflow.runs run
    set remaining_steps = 0, status = 'completed', completed_at = greatest(clock_timestamp(), run.started_at),
        output = (select result.output from pgflow._run_output(run.flow_slug, run.run_id) result)
    where run.run_id = _record_finished_step.run_id
    returning run.* into completed_run;
    perform pgflow._send_run_completed(completed_run);
  else
    update pgflow.runs run set remaining_steps = run.remaining_steps - 1 where run.run_id = _record_finished_step.run_id;
  end if;
end
$$;

-- Archives messages of one flow together with those of the open tasks of failed runs, in one statement, which archives
-- them in the order of their ids.
create function pgflow._archive_with_failed_runs(flow_slug text, msg_ids bigint[], failed_runs uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  all_msg_ids constant bigint[] := msg_ids || array(
    select task.message_id
    from unnest(failed_runs) run (run_id)
    cross join lateral (
      select task.message_id, task.status from pgflow.step_tasks task
      where task.run_id = run.run_id and task.flow_slug = _archive_with_failed_runs.flow_slug offset 0) task
    where task.status in ('queued', 'started'));
begin
  if cardinality(all_msg_ids) > 0 then
    perform pgflow._archive_messages(flow_slug, all_msg_ids);
  end if;
end
$$;


