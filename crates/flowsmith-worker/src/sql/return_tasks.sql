-- Returns claimed tasks to their queue, visible after :delay seconds. Affects only tasks that still belong to this worker, of
-- started runs and steps. The attempt counts only if the handler has started (:started is 1).
with own_task as (
  select t.run_id, t.step_slug, t.task_index
  from pgflow.step_tasks t
  join unnest(:run_ids, :step_slugs, :task_indexes) given (run_id, step_slug, task_index)
    on t.run_id = given.run_id and t.step_slug = given.step_slug and t.task_index = given.task_index
  where t.status = 'started' and t.last_worker_id = :worker
    and exists (select from pgflow.runs r where r.run_id = t.run_id and r.status = 'started')
    and exists (
      select from pgflow.step_states s
      where s.run_id = t.run_id and s.step_slug = t.step_slug and s.status = 'started')
  order by t.run_id, t.step_slug, t.task_index
  for no key update of t
),
returned as (
  update pgflow.step_tasks t
  set status = 'queued', started_at = null,
      attempts_count = case when :started = 1 then t.attempts_count else greatest(t.attempts_count - 1, 0) end
  from own_task
  where t.run_id = own_task.run_id and t.step_slug = own_task.step_slug and t.task_index = own_task.task_index
  returning t.message_id
)
select count(*) as tasks from pgflow.set_vt_batch(
  :queue, array(select returned.message_id from returned order by returned.message_id),
  array(select :delay::integer from returned))
