select
  (select count(*) from pgmq.q_:flow) as messages_left,
  (select count(*) from pgmq.a_:flow) as messages_archived,
  0::bigint as runs,
  0::bigint as completed_runs,
  0::bigint as unfinished_steps,
  0::bigint as tasks,
  0::bigint as tasks_completed_at_once
