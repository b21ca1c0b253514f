-- It refuses an output that a map cannot take also where the task is not started or is none. Not called, it does not.
(
  with refusal as (
    select jsonb_typeof({output}::jsonb) is distinct from 'array'
      and not exists (
        select from pgflow.step_tasks t
        where (t.run_id, t.step_slug, t.task_index) = ({task}) and t.status = 'started')
      and exists (
        select
        from pgflow.step_states s
        join pgflow.deps d on d.flow_slug = s.flow_slug and d.dep_slug = s.step_slug
        join pgflow.step_states map on map.run_id = s.run_id and map.step_slug = d.step_slug
        where (s.run_id, s.step_slug) = ({step}) and s.status = 'started' and map.initial_tasks is null
      ) as is_wrong
  )
  select t.*
  from pgflow.step_tasks t
  where (t.run_id, t.step_slug, t.task_index) = ({task}) and (select is_wrong from refusal)
  union all
  select completed.*
  from {call} completed
  where not (select is_wrong from refusal)
)
