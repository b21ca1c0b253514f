{#- Counts the runs, completed runs, completed tasks and queued messages of a flow. -#}
select
  count(*) as runs,
  count(*) filter (where r.status = 'completed') as completed_runs,
  (
    select count(*) from pgflow.runs r join pgflow.step_tasks t using (run_id)
    where r.flow_slug = {{ flow | literal }} and t.status = 'completed'
  ) as completed_tasks,
  (select queue.queue_length from pgmq.metrics({{ flow | literal }}) queue) as messages
from pgflow.runs r
where r.flow_slug = {{ flow | literal }}
