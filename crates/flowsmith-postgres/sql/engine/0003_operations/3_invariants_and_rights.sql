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
