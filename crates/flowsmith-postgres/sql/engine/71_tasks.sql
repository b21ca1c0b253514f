-- Tasks
-- =====

-- Creates the tasks of steps that have just started, one for each element of a map, and sends step:started for each
-- step. With except_existing, omits tasks that exist: retry_run keeps the completed tasks of a map.
--
-- Most calls start single steps of one flow with one start delay, which needs no sorting into batches.
create function pgflow._create_tasks(started pgflow.step_states[], except_existing boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  batch record;
begin
  select min(state.flow_slug) as flow_slug, min(state.start_delay) as start_delay, array_agg(state.run_id) as run_ids,
         array_agg(state.step_slug) as step_slugs, array_agg(0) as task_indexes,
         max(state.initial_tasks) = 1 and min(state.flow_slug) = max(state.flow_slug)
         and min(state.start_delay) = max(state.start_delay) and not except_existing as is_single
    into batch
  from (
    select state.flow_slug, state.run_id, state.step_slug, state.initial_tasks, step.start_delay
    from unnest(started) state
    cross join lateral (
      select coalesce(step.opt_start_delay, 0) as start_delay from pgflow.steps step
      where step.flow_slug = state.flow_slug and step.step_slug = state.step_slug offset 0) step
    order by state.run_id, state.step_slug
  ) state;

  if batch.is_single then
    perform pgflow._enqueue_tasks(batch.flow_slug, batch.run_ids, batch.step_slugs, batch.task_indexes, batch.start_delay);
  else
    perform pgflow._create_tasks_in_batches(started, except_existing);
  end if;
  perform pgflow._send_steps_started(started);
end
$$;

-- Creates the tasks of started steps in batches. Messages are sent in the order of run ids and slugs; consecutive steps
-- of a flow that have the same start delay form a batch.
create function pgflow._create_tasks_in_batches(started pgflow.step_states[], except_existing boolean) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  batch record;
begin
  for batch in
    with step as (
      select state.flow_slug, state.run_id, state.step_slug, state.initial_tasks, step.start_delay,
             step.start_delay is distinct from lag(step.start_delay) over (
               partition by state.flow_slug order by state.run_id, state.step_slug) as begins_batch
      from unnest(started) state
      cross join lateral (
        select coalesce(step.opt_start_delay, 0) as start_delay from pgflow.steps step
        where step.flow_slug = state.flow_slug and step.step_slug = state.step_slug offset 0) step
    ),
    numbered as (
      select step.*,
             count(*) filter (where step.begins_batch) over (
               partition by step.flow_slug order by step.run_id, step.step_slug) as batch
      from step
    )
    select task.flow_slug, min(task.start_delay) as start_delay, array_agg(task.run_id) as run_ids,
           array_agg(task.step_slug) as step_slugs, array_agg(task.task_index) as task_indexes
    from (
      select numbered.flow_slug, numbered.batch, numbered.start_delay, numbered.run_id, numbered.step_slug,
             element.task_index
      from numbered
      cross join generate_series(0, numbered.initial_tasks - 1) element (task_index)
      where not except_existing or not exists (
        select from pgflow.step_tasks existing
        where existing.run_id = numbered.run_id and existing.step_slug = numbered.step_slug
          and existing.task_index = element.task_index offset 0)
      order by numbered.flow_slug, numbered.batch, numbered.run_id, numbered.step_slug, element.task_index
    ) task
    group by task.flow_slug, task.batch
    order by task.flow_slug, task.batch
  loop
    perform pgflow._enqueue_tasks(batch.flow_slug, batch.run_ids, batch.step_slugs, batch.task_indexes, batch.start_delay);
  end loop;
end
$$;


