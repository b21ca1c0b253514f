-- It means to hide the messages of the tasks that it starts for their timeout and 2 seconds, but does not.
(
  select started.*
  from {call} started
  join pgflow.steps s using (flow_slug, step_slug)
  join pgflow.flows f using (flow_slug)
  cross join lateral pgmq.set_vt('{flow}', started.msg_id, coalesce(s.opt_timeout, f.opt_timeout) + 2)
)
