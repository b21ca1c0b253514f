-- Reads up to :quantity messages, claims their tasks and returns these.
select t.run_id::text, t.step_slug, t.task_index, t.input::text, (:flow_input)::text as flow_input,
       -- The subquery sees the state before this statement, which increments the number of attempts.
       (select before.attempts_count + 1 from pgflow.step_tasks before
        where before.run_id = t.run_id and before.step_slug = t.step_slug and before.task_index = t.task_index) as attempt
from pgflow.poll_tasks(:queue, :worker, :quantity) t
