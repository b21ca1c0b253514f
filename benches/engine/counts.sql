select
  (select count(*) from pgmq.q_:flow) as messages_left,
  (select count(*) from pgmq.a_:flow) as messages_archived,
  (select count(*) from pgflow.runs r where r.flow_slug = ':flow') as runs,
  (select count(*) from pgflow.runs r where r.flow_slug = ':flow' and r.status = 'completed' and r.remaining_steps = 0) as completed_runs,
  (select count(*) from pgflow.step_states s where s.flow_slug = ':flow' and s.status <> 'completed') as unfinished_steps,
  (select count(*) from pgflow.step_tasks t where t.flow_slug = ':flow') as tasks,
  (select count(*) from pgflow.step_tasks t where t.flow_slug = ':flow' and t.status = 'completed' and t.attempts_count = 1) as tasks_completed_at_once
