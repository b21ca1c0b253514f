{#- Claims up to `quantity` tasks of `flow` for `worker`. -#}
select t.run_id::text as run_id, t.step_slug, t.task_index, t.input::text as input
from pgflow.poll_tasks({{ flow | literal }}, {{ worker | literal }}::uuid, {{ quantity }}) t
