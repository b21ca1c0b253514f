-- Registers a worker: one row for each of its queues.
insert into pgflow.workers (worker_id, queue_name, function_name)
select gen_random_uuid(), queue.name, :name from unnest(:queues) queue (name)
returning queue_name, worker_id::text
