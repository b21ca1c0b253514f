-- Registers a worker named $1.
insert into pgflow.workers (worker_id, queue_name, function_name)
values (gen_random_uuid(), $1, $1)
returning worker_id::text as worker_id
