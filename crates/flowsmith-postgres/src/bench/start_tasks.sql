{#- Starts the tasks of `flow` whose `messages` were read, for `worker`. -#}
select t.run_id::text as run_id, t.step_slug, t.task_index, t.input::text as input
from pgflow.start_tasks({{ flow | literal }}, array[{{ messages | join(", ") }}]::bigint[], {{ worker | literal }}::uuid) t
