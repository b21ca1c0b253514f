-- Claims up to $3 tasks of flow $1 for worker $2.
select t.run_id::text as run_id, t.step_slug, t.task_index, t.input::text as input
from pgflow.poll_tasks($1, $2::uuid, $3) t
