-- Reads up to so many messages, starts their tasks and returns these.
select t.run_id::text, t.step_slug, t.task_index, t.msg_id, t.input::text, (:flow_input)::text,
       -- As it was before this statement, which counts the attempt.
       (select x.attempts_count + 1 from pgflow.step_tasks x
        where x.run_id = t.run_id and x.step_slug = t.step_slug and x.task_index = t.task_index)
from pgflow.poll_tasks(:queue, :worker, :quantity) t
