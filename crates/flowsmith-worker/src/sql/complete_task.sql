-- Completes a task and returns its status.
select t.status from pgflow.complete_task(:run_id, :step_slug, :task_index, :output) t
