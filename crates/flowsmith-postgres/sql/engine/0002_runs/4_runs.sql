-- ─── What becomes of a run ──────────────────────────────────────────────────────────────────────────────────────────

-- The event of a run that starts.
create function pgflow._send_run_started(run pgflow.runs) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._tells() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'run:started', 'run_id', run.run_id, 'flow_slug', run.flow_slug, 'input', run.input,
        'status', run.status, 'remaining_steps', run.remaining_steps, 'started_at', run.started_at),
      'run:started', 'pgflow:run:' || run.run_id, false);
  end if;
end
$$;

-- The event of a failed run, with what else there is to tell.
create function pgflow._send_run_failed(run pgflow.runs, more jsonb default '{}') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._tells() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'run:failed', 'run_id', run.run_id, 'flow_slug', run.flow_slug, 'status', run.status,
        'failed_at', run.failed_at) || more,
      'run:failed', 'pgflow:run:' || run.run_id, false);
  end if;
end
$$;

-- The event of a completed run.
create function pgflow._send_run_completed(run pgflow.runs) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgflow._tells() then
    perform realtime.send(
      jsonb_build_object(
        'event_type', 'run:completed', 'run_id', run.run_id, 'flow_slug', run.flow_slug, 'status', run.status,
        'output', run.output, 'completed_at', run.completed_at),
      'run:completed', 'pgflow:run:' || run.run_id, false);
  end if;
end
$$;

-- Archives messages of one flow: those given, and those of the open tasks of runs that have failed. All at once, so that they
-- are taken in their order.
create function pgflow._archive_with_runs(flow_slug text, msg_ids bigint[], failed uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  all_ids constant bigint[] := msg_ids || array(
    select t.message_id
    from unnest(failed) r (run_id)
    cross join lateral (
      select x.message_id, x.status from pgflow.step_tasks x
      where x.run_id = r.run_id and x.flow_slug = _archive_with_runs.flow_slug offset 0) t
    where t.status in ('queued', 'started'));
begin
  if cardinality(all_ids) > 0 then
    perform pgflow._archive(flow_slug, all_ids);
  end if;
end
$$;

-- Counts steps that are done: done[i] more of run_ids[i], which the caller holds. A started run that has none left completes;
-- its output has that of each leaf that completed, and is null where the run has no leaf.
create function pgflow._settle_runs(run_ids uuid[], done integer[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  completed pgflow.runs[];
begin
  with changed as (
    update pgflow.runs r
    set remaining_steps = r.remaining_steps - place.steps,
        status          = case when place.ends then 'completed' else r.status end,
        completed_at    = case when place.ends then greatest(clock_timestamp(), r.started_at) end,
        output          = place.output
    from (
      select x.ctid, c.steps, x.ends, case when x.ends then (
          select coalesce(jsonb_object_agg(s.step_slug, s.output) filter (where s.status = 'completed'),
                          case when count(*) > 0 then '{}'::jsonb end)
          from pgflow.step_states s
          where s.run_id = c.run_id
            and not exists (select from pgflow.deps d where d.flow_slug = x.flow_slug and d.dep_slug = s.step_slug offset 0)
        ) end as output
      from (
        select c.run_id, sum(c.steps)::integer as steps from unnest(run_ids, done) c (run_id, steps) group by c.run_id
      ) c
      cross join lateral (
        select y.ctid, y.flow_slug, y.status = 'started' and y.remaining_steps = c.steps as ends
        from pgflow.runs y where y.run_id = c.run_id offset 0) x
      offset 0
    ) place
    where r.ctid = place.ctid
    returning r as run
  )
  select array_agg(c.run) filter (where (c.run).status = 'completed' and pgflow._tells()) into completed from changed c;

  if completed is not null then
    perform pgflow._send_run_completed(r) from unnest(completed) r;
  end if;
end
$$;

-- Counts one step that is done, as _settle_runs does, and takes its run: what most calls have to count.
create function pgflow._settle_run(run_id uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  is_last boolean;
  run     pgflow.runs;
begin
  select r.status = 'started' and r.remaining_steps = 1 into is_last
  from pgflow.runs r where r.run_id = _settle_run.run_id for no key update;
  if is_last then
    update pgflow.runs r
    set remaining_steps = 0, status = 'completed', completed_at = greatest(clock_timestamp(), r.started_at),
        output = (
          select coalesce(jsonb_object_agg(s.step_slug, s.output) filter (where s.status = 'completed'),
                          case when count(*) > 0 then '{}'::jsonb end)
          from pgflow.step_states s
          where s.run_id = _settle_run.run_id
            and not exists (select from pgflow.deps d where d.flow_slug = r.flow_slug and d.dep_slug = s.step_slug offset 0))
    where r.run_id = _settle_run.run_id
    returning r.* into run;
    perform pgflow._send_run_completed(run);
  else
    update pgflow.runs r set remaining_steps = r.remaining_steps - 1 where r.run_id = _settle_run.run_id;
  end if;
end
$$;


