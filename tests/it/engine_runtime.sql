-- Short words for tests of the engine's runtime, in schema t. Whatever they list, they list as lines of text.

create schema t;

-- The worker that every task goes to.
create function t.worker() returns uuid language sql immutable return '00000000-0000-0000-0000-0000000000aa'::uuid;
insert into pgflow.workers (worker_id, queue_name, function_name) values (t.worker(), 'queue', 'function');

-- The id of run number n.
create function t.id(n integer default 1) returns uuid language sql immutable
return ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid;

-- What a worker does: reads, starts, and tells what it was given.
create function t.take(flow text default 'f', quantity integer default 1000) returns setof text language sql as $$
  select format('%s %s %s', r.step_slug, r.task_index, r.input)
  from pgflow.start_tasks(flow, array(select m.msg_id from pgmq.read(flow, 30, quantity) m), t.worker()) r
  order by r.step_slug, r.task_index
$$;

create function t.run(n integer default 1) returns text language sql stable
return (select concat_ws(' ', r.status, r.remaining_steps, r.output) from pgflow.runs r where r.run_id = t.id(n));

create function t.steps(n integer default 1) returns setof text language sql stable as $$
  select concat_ws(' ', s.step_slug, s.status, s.skip_reason, s.error_message, s.output)
  from pgflow.step_states s join pgflow.steps d using (flow_slug, step_slug)
  where s.run_id = t.id(n) order by d.step_index
$$;

create function t.tasks(n integer default 1) returns setof text language sql stable as $$
  select concat_ws(' ', k.step_slug, k.task_index, k.status, k.attempts_count, k.error_message, k.output)
  from pgflow.step_tasks k where k.run_id = t.id(n) order by k.step_slug, k.task_index
$$;

-- Names of events in the order in which they were sent.
create function t.events(n integer default 1) returns setof text language plpgsql stable as $$
begin
  return query select e.event from realtime.sent e where e.topic = 'pgflow:run:' || t.id(n) order by e.id;
end
$$;

-- Messages in the queue or the archive of flow f: their step and index.
create function t.queue() returns setof text language plpgsql stable as $$
begin
  return query select concat_ws(' ', q.message ->> 'step_slug', q.message ->> 'task_index') from pgmq.q_f q order by 1;
end
$$;

create function t.archive() returns setof text language plpgsql stable as $$
begin
  return query select concat_ws(' ', a.message ->> 'step_slug', a.message ->> 'task_index') from pgmq.a_f a order by 1;
end
$$;

-- In how many seconds a task's message can be read; null where it is not in the queue of flow f.
create function t.hidden(step text, index integer default 0, n integer default 1) returns numeric language plpgsql stable as $$
begin
  return (
    select round(extract(epoch from q.vt - clock_timestamp()))
    from pgmq.q_f q join pgflow.step_tasks k on k.message_id = q.msg_id
    where k.run_id = t.id(n) and k.step_slug = step and k.task_index = index
  );
end
$$;

-- What has happened to the tasks of a step is so much longer ago.
create function t.age(step text, seconds numeric) returns void language sql as $$
  update pgflow.step_tasks k
  set queued_at = queued_at - seconds * interval '1 second', started_at = started_at - seconds * interval '1 second'
  where k.step_slug = step
$$;

-- Some started tasks.
create function t.any_started(number integer) returns setof pgflow.step_tasks language sql as $$
  select * from pgflow.step_tasks where status = 'started' order by random() limit number
$$;

-- Lets some started tasks stall.
create function t.stall(number integer) returns void language sql as $$
  with chosen as (
    select run_id, step_slug, task_index from pgflow.step_tasks where status = 'started' order by random() limit number for update skip locked
  )
  update pgflow.step_tasks k
  set queued_at = queued_at - interval '1 hour', started_at = started_at - interval '1 hour'
  from chosen x where (k.run_id, k.step_slug, k.task_index) = (x.run_id, x.step_slug, x.task_index)
$$;
