-- It hides the message of a task that is not started, and so cannot fail. Not called, it does not.
(
  select t.*
  from pgflow.step_tasks t
  where (t.run_id, t.step_slug, t.task_index) = ({task}) and t.status = 'queued'
  union all
  select failed.*
  from {call} failed
  where not exists (
    select from pgflow.step_tasks t
    where (t.run_id, t.step_slug, t.task_index) = ({task}) and t.status = 'queued')
)
