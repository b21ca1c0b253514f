-- What anybody can see of a flow after a call: its rows, the messages in its queue and its archive, and the events sent
-- since the last look, which are taken away. {flow} is its slug, {runs} what the ids of its runs begin with. As JSON, an
-- output that is the value null looks like none, so is_null tells.
with sent as (
  delete from realtime.sent where topic like 'pgflow:run:{runs}%' returning id, event, topic, payload, private
)
select jsonb_build_object(
  'begin', now(),
  'end', clock_timestamp(),
  'runs', (select jsonb_agg(to_jsonb(r) || jsonb_build_object('is_null', r.output is null)) from pgflow.runs r where r.flow_slug = '{flow}'),
  'step_states', (select jsonb_agg(to_jsonb(s)) from pgflow.step_states s where s.flow_slug = '{flow}'),
  'step_tasks', (select jsonb_agg(to_jsonb(t) || jsonb_build_object('is_null', t.output is null)) from pgflow.step_tasks t where t.flow_slug = '{flow}'),
  'messages', (select jsonb_agg(to_jsonb(m)) from pgmq.q_{flow} m),
  'archived', (select jsonb_agg(to_jsonb(a)) from pgmq.a_{flow} a),
  'events', (select jsonb_agg(to_jsonb(sent) - 'id' order by id) from sent)
)::text;
