-- What is there of a flow: runs, runs that are completed, tasks that are completed, messages in its queue.
select
  count(*) as runs,
  count(*) filter (where r.status = 'completed') as completed_runs,
  (
    select count(*) from pgflow.runs r join pgflow.step_tasks t using (run_id)
    where r.flow_slug = $1 and t.status = 'completed'
  ) as completed_tasks,
  (select m.queue_length from pgmq.metrics($1) m) as messages
from pgflow.runs r
where r.flow_slug = $1
