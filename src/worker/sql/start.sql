-- Starts the tasks of messages that were read.
select t.run_id::text, t.step_slug, t.task_index, t.msg_id, t.input::text, (:flow_input)::text
from pgflow.start_tasks(:queue, :messages, :worker) t
