-- Completes one task.
select t.status from pgflow.complete_task(:run_id, :step_slug, :task_index, :output) t
