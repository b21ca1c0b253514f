-- Completes tasks in one call, and returns those that are completed afterwards.
select t.run_id::text, t.step_slug, t.task_index
from pgflow.complete_tasks(:run_ids, :step_slugs, :task_indexes, :outputs) t
where t.status = 'completed'
