{#- Registers a worker. -#}
insert into pgflow.workers (worker_id, queue_name, function_name)
values (gen_random_uuid(), {{ name | literal }}, {{ name | literal }})
returning worker_id::text as worker_id
