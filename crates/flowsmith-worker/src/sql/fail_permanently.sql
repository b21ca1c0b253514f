-- Fails a task permanently, even if it has attempts left: sets the number of attempts to the maximum, calls fail_task, and
-- restores the number. The statements are one transaction, so no other session sees the changed number.
select set_config('flowsmith.attempts', t.attempts_count::text, true)
from pgflow.step_tasks t
where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
  and t.status = 'started' and t.last_worker_id = :worker
for no key update;

update pgflow.step_tasks t
set attempts_count = greatest(t.attempts_count, coalesce(s.opt_max_attempts, f.opt_max_attempts))
from pgflow.steps s join pgflow.flows f on f.flow_slug = s.flow_slug
where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
  and t.status = 'started' and t.last_worker_id = :worker
  and s.flow_slug = t.flow_slug and s.step_slug = t.step_slug;

select failed.status
from (
  select from pgflow.step_tasks t
  where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
    and t.status = 'started' and t.last_worker_id = :worker
) own_task
cross join lateral pgflow.fail_task(:run_id, :step_slug, :task_index, :message) failed;

update pgflow.step_tasks t
set attempts_count = current_setting('flowsmith.attempts')::integer
where t.run_id = :run_id and t.step_slug = :step_slug and t.task_index = :task_index
  and t.last_worker_id = :worker and nullif(current_setting('flowsmith.attempts', true), '') is not null
