-- ─── Completing tasks ───────────────────────────────────────────────────────────────────────────────────────────────

-- Completes a task of a started step in a started run with its output, and returns it as it is then. Any other task is
-- returned as it is, so that completing twice is harmless; where its step is over, its message is archived.
--
-- One row at a time and without the arrays of complete_tasks, which does the same for many: a statement for one row takes
-- half as long, and this is what workers call most.
create function pgflow.complete_task(run_id uuid, step_slug text, task_index integer, output jsonb)
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
  clock          constant timestamptz := clock_timestamp();
  is_single      boolean;
  has_dependents boolean;
  run_status     text;
  task           pgflow.step_tasks;
  state          pgflow.step_states;
  failed         uuid[];
begin
  select step.is_single, r.status,
         exists (select from pgflow.deps d where d.flow_slug = r.flow_slug and d.dep_slug = complete_task.step_slug)
    into is_single, run_status, has_dependents
  from (select x.flow_slug, x.status from pgflow.runs x where x.run_id = complete_task.run_id offset 0) r
  cross join lateral (
    select x.step_type = 'single' as is_single from pgflow.steps x
    where x.flow_slug = r.flow_slug and x.step_slug = complete_task.step_slug offset 0) step;

  if run_status = 'started' then
    if is_single and has_dependents and jsonb_typeof(complete_task.output) is distinct from 'array' then
      task := pgflow._refuse_output(
        complete_task.run_id, complete_task.step_slug, complete_task.task_index, complete_task.output);
      if task.run_id is not null then
        perform pgflow._archive_with_runs(task.flow_slug, array[task.message_id], array[task.run_id]);
        return next task;
        return;
      end if;
    end if;
    update pgflow.step_tasks t
    set status = 'completed', output = complete_task.output, completed_at = greatest(clock, t.started_at)
    where t.run_id = complete_task.run_id and t.step_slug = complete_task.step_slug
      and t.task_index = complete_task.task_index and t.status = 'started'
      and exists (
        select from pgflow.step_states s
        where s.run_id = complete_task.run_id and s.step_slug = complete_task.step_slug and s.status = 'started')
    returning t.* into task;
  end if;

  if task.run_id is null then
    perform pgflow._archive_late(complete_task.run_id, complete_task.step_slug, complete_task.task_index);
    return query select t.* from pgflow.step_tasks t
      where t.run_id = complete_task.run_id and t.step_slug = complete_task.step_slug and t.task_index = complete_task.task_index;
    return;
  end if;

  if is_single then
    update pgflow.step_states s
    set remaining_tasks = 0, status = 'completed', completed_at = greatest(clock, s.started_at), output = complete_task.output
    where s.run_id = task.run_id and s.step_slug = task.step_slug and s.status = 'started'
    returning s.* into state;
  else
    update pgflow.step_states s
    set remaining_tasks = s.remaining_tasks - 1
    where s.run_id = task.run_id and s.step_slug = task.step_slug
    returning s.* into state;
    -- A statement of its own, which sees the outputs of those that the last one waited for.
    if state.remaining_tasks = 0 and state.status = 'started' then
      update pgflow.step_states s
      set status = 'completed', completed_at = greatest(clock, s.started_at),
          output = (select jsonb_agg(t.output order by t.task_index)
                    from pgflow.step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug)
      where s.run_id = task.run_id and s.step_slug = task.step_slug
      returning s.* into state;
    end if;
  end if;
  if state.status = 'completed' then
    if pgflow._tells() then
      perform pgflow._send_step_completed(state);
    end if;
    if has_dependents then
      failed := pgflow._finish_one(state);
    else
      perform pgflow._settle_run(state.run_id);
    end if;
  end if;
  if failed is null then
    perform pgflow._archive(task.flow_slug, array[task.message_id]);
  else
    perform pgflow._archive_with_runs(task.flow_slug, array[task.message_id], failed);
  end if;
  return next task;
end
$$;

-- Completes tasks as complete_task would do one after the other: output i is that of task task_indexes[i] of step
-- step_slugs[i] of run run_ids[i]. Returns all of them as they are then, in the order given. Two things differ from single
-- calls: a refused output is dealt with before any task completes, and steps that become ready are started together at the
-- end. The first output counts for a task that is named twice.
create function pgflow.complete_tasks(run_ids uuid[], step_slugs text[], task_indexes integer[], outputs jsonb[])
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
  clock    constant timestamptz := clock_timestamp();
  held     record;
  suspect  bigint[];
  place    bigint;
  task     pgflow.step_tasks;
  refused  pgflow.step_tasks[];
  changed  record;
  finished record;
  failed   uuid[];
begin
  if (cardinality(run_ids), cardinality(run_ids), cardinality(run_ids))
    is distinct from (cardinality(step_slugs), cardinality(task_indexes), cardinality(outputs)) then
    raise exception 'run_ids, step_slugs, task_indexes and outputs must have one length, not %, %, % and %',
      cardinality(run_ids), cardinality(step_slugs), cardinality(task_indexes), cardinality(outputs);
  end if;

  -- The tasks, each with the first output given for it. Not those that wait for a worker, which start_tasks would leave out.
  select array_agg(t.ctid) as places, array_agg(t.flow_slug) as flow_slugs, array_agg(g.run_id) as run_ids,
         array_agg(g.step_slug) as step_slugs, array_agg(g.output) as outputs, array_agg(g.place) as given
    into held
  from (
    select distinct on (g.run_id, g.step_slug, g.task_index) g.*
    from unnest(run_ids, step_slugs, task_indexes, outputs) with ordinality g (run_id, step_slug, task_index, output, place)
    order by g.run_id, g.step_slug, g.task_index, g.place
  ) g
  cross join lateral (
    select x.ctid, x.flow_slug from pgflow.step_tasks x
    where x.run_id = g.run_id and x.step_slug = g.step_slug and x.task_index = g.task_index and x.status <> 'queued'
    for no key update offset 0) t;

  -- Outputs that are no array, of single steps that a map waits for; most batches have no such step.
  if exists (
    select
    from (select distinct h.flow_slug, h.step_slug from unnest(held.flow_slugs, held.step_slugs) h (flow_slug, step_slug)) h
    cross join lateral (
      select x.step_slug from pgflow.steps x
      where x.flow_slug = h.flow_slug and x.step_slug = h.step_slug and x.step_type = 'single' offset 0) single
    cross join lateral (
      select x.step_slug from pgflow.deps x where x.flow_slug = h.flow_slug and x.dep_slug = single.step_slug offset 0) d
    cross join lateral (
      select x.step_slug from pgflow.steps x
      where x.flow_slug = h.flow_slug and x.step_slug = d.step_slug and x.step_type = 'map' offset 0) map
  ) then
    suspect := array(
      select h.given
      from unnest(held.run_ids, held.flow_slugs, held.step_slugs, held.outputs, held.given)
        h (run_id, flow_slug, step_slug, output, given)
      cross join lateral (select x.status from pgflow.runs x where x.run_id = h.run_id offset 0) r
      cross join lateral (
        select x.step_type from pgflow.steps x where x.flow_slug = h.flow_slug and x.step_slug = h.step_slug offset 0) step
      where jsonb_typeof(h.output) is distinct from 'array' and step.step_type = 'single' and r.status = 'started'
      order by h.given);
  end if;
  if suspect <> '{}' then
    -- To refuse one takes its state and run, so all of the batch are taken first, in their order.
    perform s.run_id
    from (
      select distinct g.run_id, g.step_slug from unnest(run_ids, step_slugs) g (run_id, step_slug)
      order by g.run_id, g.step_slug) g
    cross join lateral (
      select x.run_id from pgflow.step_states x
      where x.run_id = g.run_id and x.step_slug = g.step_slug and x.status = 'started' for no key update offset 0) s;
    perform r.run_id
    from (select distinct g.run_id from unnest(run_ids) g (run_id) order by g.run_id) g
    cross join lateral (select x.run_id from pgflow.runs x where x.run_id = g.run_id for no key update offset 0) r;

    foreach place in array suspect loop
      task := pgflow._refuse_output(run_ids[place], step_slugs[place], task_indexes[place], outputs[place]);
      if task.run_id is not null then
        refused := refused || task;
      end if;
    end loop;
  end if;

  with completable as (
    select h.place, h.output
    from unnest(held.places, held.run_ids, held.step_slugs, held.outputs) h (place, run_id, step_slug, output)
    cross join lateral (
      select x.status from pgflow.step_states x where x.run_id = h.run_id and x.step_slug = h.step_slug offset 0) s
    cross join lateral (select x.status from pgflow.runs x where x.run_id = h.run_id offset 0) r
    where s.status = 'started' and r.status = 'started'
  ),
  done as (
    update pgflow.step_tasks t
    set status = 'completed', output = completable.output, completed_at = greatest(clock, t.started_at)
    from completable
    where t.ctid = completable.place and t.status = 'started'
    returning t.flow_slug, t.run_id, t.step_slug, t.message_id
  )
  select count(*) as tasks, array_agg(d.flow_slug) as flow_slugs, array_agg(d.run_id) as run_ids,
         array_agg(d.step_slug) as step_slugs, array_agg(d.message_id) as message_ids
    into changed
  from done d;

  if changed.tasks < cardinality(run_ids) then
    perform pgflow._archive_late(g.run_id, g.step_slug, g.task_index)
    from unnest(run_ids, step_slugs, task_indexes) g (run_id, step_slug, task_index);
  end if;

  if changed.tasks > 0 then
    -- Two statements, so that the second sees what the first waited for: the outputs of tasks and the counters.
    perform s.run_id
    from (
      select distinct t.run_id, t.step_slug from unnest(changed.run_ids, changed.step_slugs) t (run_id, step_slug)
      order by t.run_id, t.step_slug) step
    cross join lateral (
      select x.run_id from pgflow.step_states x
      where x.run_id = step.run_id and x.step_slug = step.step_slug for no key update offset 0) s;

    -- Only states that events or dependents need are taken along whole.
    with told as (
      update pgflow.step_states s
      set remaining_tasks = s.remaining_tasks - place.tasks,
          status          = case when place.finishes then 'completed' else s.status end,
          completed_at    = case when place.finishes then greatest(clock, s.started_at) end,
          output          = case
            when place.finishes and place.step_type = 'map' then (
              select jsonb_agg(t.output order by t.task_index)
              from pgflow.step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug)
            when place.finishes then (
              select t.output
              from pgflow.step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug and t.task_index = 0) end
      from (
        select x.ctid, counted.tasks, x.status = 'started' and x.remaining_tasks = counted.tasks as finishes, step.step_type,
               exists (
                 select from pgflow.deps y
                 where y.flow_slug = counted.flow_slug and y.dep_slug = counted.step_slug offset 0) as has_dependents
        from (
          select t.flow_slug, t.run_id, t.step_slug, count(*)::integer as tasks
          from unnest(changed.flow_slugs, changed.run_ids, changed.step_slugs) t (flow_slug, run_id, step_slug)
          group by t.flow_slug, t.run_id, t.step_slug
        ) counted
        cross join lateral (
          select y.ctid, y.status, y.remaining_tasks from pgflow.step_states y
          where y.run_id = counted.run_id and y.step_slug = counted.step_slug offset 0) x
        cross join lateral (
          select y.step_type from pgflow.steps y
          where y.flow_slug = counted.flow_slug and y.step_slug = counted.step_slug offset 0) step
        offset 0
      ) place
      where s.ctid = place.ctid
      returning s as state, s.run_id, place.finishes, place.has_dependents
    )
    select array_agg(t.run_id) as run_ids, array_agg(t.state) filter (where pgflow._tells()) as told,
           array_agg(t.state) filter (where t.has_dependents) as releasing
      into finished
    from told t where t.finishes;
    if finished.run_ids is not null then
      perform pgflow._send_step_completed(s) from unnest(finished.told::pgflow.step_states[]) s;
      failed := pgflow._finish(finished.run_ids, finished.releasing);
    end if;
  end if;

  perform pgflow._archive_with_runs(
    t.flow_slug, array_agg(t.message_id), failed || array(select r.run_id from unnest(refused) r))
  from (
    select c.flow_slug, c.message_id from unnest(changed.flow_slugs, changed.message_ids) c (flow_slug, message_id)
    union all
    select r.flow_slug, r.message_id from unnest(refused) r
  ) t
  group by t.flow_slug order by t.flow_slug;

  return query
  select t.*
  from unnest(run_ids, step_slugs, task_indexes) with ordinality g (run_id, step_slug, task_index, place)
  cross join lateral (
    select x.* from pgflow.step_tasks x
    where x.run_id = g.run_id and x.step_slug = g.step_slug and x.task_index = g.task_index offset 0) t
  order by g.place;
end
$$;


