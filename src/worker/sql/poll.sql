-- Reads up to so many messages, starts their tasks and returns these.
select t.run_id::text, t.step_slug, t.task_index, t.msg_id, t.input::text, (:flow_input)::text
from pgflow.poll_tasks(:queue, :worker, :quantity) t
