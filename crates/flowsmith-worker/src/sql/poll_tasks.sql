-- Reads up to :quantity messages, starts their tasks, and returns the tasks.
select t.run_id::text as run_id, t.step_slug, t.task_index, t.input::text as input, (:flow_input)::text as flow_input,
       -- The count before this statement, which adds this attempt.
       (select x.attempts_count + 1 from pgflow.step_tasks x
        where x.run_id = t.run_id and x.step_slug = t.step_slug and x.task_index = t.task_index) as attempt
from pgflow.poll_tasks(:queue, :worker, :quantity) t
