-- Brings what the walks need into a database that has the engine: the lines of `run.rs`, written from the tables.

create schema model;

insert into pgflow.workers (worker_id, queue_name, function_name) values ('00000000-0000-0000-0000-0000000000aa', 'walk', 'walk');

create function model.run_line(r pgflow.runs) returns text language sql stable return format(
  'run %s: %s, input %s, output %s, %s steps remain, completed_at %s, failed_at %s',
  right(r.run_id::text, 1), r.status, r.input, coalesce(r.output::text, '-'), r.remaining_steps,
  r.completed_at is not null, r.failed_at is not null);

-- An asterisk where the contract leaves a column open.
create function model.step_line(s pgflow.step_states) returns text language sql stable return format(
  'step %s %s: %s, tasks %s of %s, deps %s, output %s, error %s, reason %s, started_at %s, completed_at %s, failed_at %s, skipped_at %s',
  right(s.run_id::text, 1), s.step_slug, s.status,
  case when s.status = 'failed' then '*' else coalesce(s.remaining_tasks::text, '-') end,
  case when s.skip_reason = 'dependency_skipped' then '*' else coalesce(s.initial_tasks::text, '-') end,
  case when s.skip_reason = 'dependency_skipped' then '*' else s.remaining_deps::text end,
  coalesce(s.output::text, '-'), coalesce(s.error_message, '-'), coalesce(s.skip_reason, '-'),
  s.started_at is not null, s.completed_at is not null, s.failed_at is not null, s.skipped_at is not null);

create function model.task_line(t pgflow.step_tasks) returns text language sql stable return format(
  'task %s %s %s: %s, attempts %s, error %s, output %s, started_at %s, completed_at %s, failed_at %s, requeued %s, stalled %s%s',
  right(t.run_id::text, 1), t.step_slug, t.task_index, t.status, t.attempts_count, coalesce(t.error_message, '-'),
  coalesce(t.output::text, '-'), t.started_at is not null, t.completed_at is not null, t.failed_at is not null,
  t.requeued_count, t.permanently_stalled_at is not null,
  case when t.status = 'started' then ', worker ' || right(t.last_worker_id::text, 2) end);

create function model.record_line(r pgflow.step_task_record) returns text language sql stable return format(
  '%s %s %s %s: input %s, flow_input %s, its message %s',
  r.flow_slug, right(r.run_id::text, 1), r.step_slug, r.task_index, coalesce(r.input::text, '-'), coalesce(r.flow_input::text, '-'),
  exists (
    select from pgflow.step_tasks t
    where (t.run_id, t.step_slug, t.task_index, t.message_id) = (r.run_id, r.step_slug, r.task_index, r.msg_id)));

-- Time passes: whatever happened is so much longer ago, whatever was to come so much nearer.
create function model.travel(seconds integer) returns void language sql as $$
  update pgmq.q_walk set vt = vt - seconds * interval '1 second';
  update pgflow.step_tasks set
    queued_at = queued_at - seconds * interval '1 second', started_at = started_at - seconds * interval '1 second',
    completed_at = completed_at - seconds * interval '1 second', failed_at = failed_at - seconds * interval '1 second',
    last_requeued_at = last_requeued_at - seconds * interval '1 second';
  update pgflow.step_states set
    created_at = created_at - seconds * interval '1 second', started_at = started_at - seconds * interval '1 second',
    completed_at = completed_at - seconds * interval '1 second', failed_at = failed_at - seconds * interval '1 second',
    skipped_at = skipped_at - seconds * interval '1 second';
  update pgflow.runs set
    started_at = started_at - seconds * interval '1 second', completed_at = completed_at - seconds * interval '1 second',
    failed_at = failed_at - seconds * interval '1 second';
$$;

-- All that the engine holds. The number is a message's id beside its task and, beside a message in the queue, when it can be
-- read: seconds after the walk's start, on the walk's clock. The line `elapsed` has the seconds that have really passed. Lines
-- that begin with `event` are what was sent after the event `seen`; their number is the event's.
create function model.facts(walk_started timestamptz, travelled integer, seen bigint) returns table (line text, number float8)
language plpgsql stable as $$
begin
  return query
    select 'elapsed', extract(epoch from clock_timestamp() - walk_started)::float8
    union all
    select 'event ' || to_jsonb(e)::text, e.id from realtime.sent e where e.id > seen
    union all
    select model.run_line(r), null from pgflow.runs r
    union all
    select model.step_line(s), null from pgflow.step_states s
    union all
    select
      format('%s, in the %s', model.task_line(t),
        case when q.msg_id is not null and a.msg_id is not null then 'queue and the archive'
             when q.msg_id is not null then 'queue' when a.msg_id is not null then 'archive' else 'dark' end),
      t.message_id
    from pgflow.step_tasks t
    left join pgmq.q_walk q on q.msg_id = t.message_id
    left join pgmq.a_walk a on a.msg_id = t.message_id
    union all
    select 'queue ' || q.message::text, case when isfinite(q.vt) then extract(epoch from q.vt - walk_started)::float8 + travelled end from pgmq.q_walk q
    union all
    select 'archive ' || a.message::text, null from pgmq.a_walk a;
end
$$;
