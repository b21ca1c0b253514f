-- Hides the messages of the tasks that this transaction started.
update pgmq.q_{flow} m
set vt = clock_timestamp() + make_interval(secs => coalesce(s.opt_timeout, f.opt_timeout) + 2)
from pgflow.step_tasks t
join pgflow.steps s using (flow_slug, step_slug)
join pgflow.flows f using (flow_slug)
where t.flow_slug = '{flow}' and t.status = 'started' and t.started_at = now() and m.msg_id = t.message_id;
