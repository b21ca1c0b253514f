-- Registers a worker with one row for each of its queues.
insert into pgflow.workers (worker_id, queue_name, function_name)
select gen_random_uuid(), q.name, :name from unnest(:queues) q (name)
returning queue_name, worker_id::text as worker_id
