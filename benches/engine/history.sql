-- Fills the tables with finished runs of the flow `flow`, a chain of five: as many tasks as the first line says, finished
-- over the last thirty days, their messages in the archive. Only columns that every level has.
create temporary table history as
select gen_random_uuid() as run_id, now() - interval '30 days' * (n::float8 / (:runs)) as started_at, n
from generate_series(1, :runs) n;

-- A million foreign keys that hold by construction need not be looked at one by one.
set session_replication_role = replica;

insert into pgflow.runs (run_id, flow_slug, status, input, output, remaining_steps, started_at, completed_at)
select run_id, 'flow', 'completed', jsonb_build_object('order', n, 'customer', 'c-' || n % 1000),
  '{"step_4": {"read": 2}}', 0, started_at, started_at + interval '5 seconds'
from history;

insert into pgflow.step_states (flow_slug, run_id, step_slug, status, remaining_tasks, initial_tasks, remaining_deps, created_at, started_at, completed_at)
select 'flow', run_id, 'step_' || step, 'completed', 0, 1, 0, started_at,
  started_at + interval '1 second' * step, started_at + interval '1 second' * (step + 1)
from history, generate_series(0, 4) step;

insert into pgflow.step_tasks (flow_slug, run_id, step_slug, message_id, task_index, status, attempts_count, output, queued_at, started_at, completed_at)
select 'flow', run_id, 'step_' || step, (n - 1) * 5 + step + 1, 0, 'completed', 1, '{"read": 2}',
  started_at + interval '1 second' * step, started_at + interval '1 second' * step, started_at + interval '1 second' * (step + 1)
from history, generate_series(0, 4) step;

insert into pgmq.a_flow (msg_id, read_ct, enqueued_at, archived_at, vt, message)
select message_id, 1, queued_at, completed_at, started_at,
  jsonb_build_object('run_id', run_id, 'flow_slug', flow_slug, 'step_slug', step_slug, 'task_index', task_index)
from pgflow.step_tasks;

set session_replication_role = default;
select setval(pg_get_serial_sequence('pgmq.q_flow', 'msg_id'), :runs * 5);
drop table history;
