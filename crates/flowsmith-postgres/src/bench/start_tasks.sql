-- Starts the tasks of flow $1 whose messages $2 were read, for worker $3.
select t.run_id::text as run_id, t.step_slug, t.task_index, t.input::text as input
from pgflow.start_tasks($1, $2, $3::uuid) t
