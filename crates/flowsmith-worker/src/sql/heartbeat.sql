-- Updates the heartbeat of a worker's rows and returns whether the worker was deprecated. A row that was deleted is inserted
-- again, because tasks refer to it.
with updated as (
  update pgflow.workers w set last_heartbeat_at = clock_timestamp()
  where w.worker_id = any (:ids)
  returning w.worker_id, w.queue_name, w.deprecated_at is not null as is_deprecated
),
inserted as (
  insert into pgflow.workers (worker_id, queue_name, function_name)
  select own.id, own.queue, :name from unnest(:ids, :queues) own (id, queue)
  where own.id not in (select updated.worker_id from updated)
  on conflict do nothing
  returning queue_name
)
select updated.queue_name, updated.is_deprecated from updated
union all
select inserted.queue_name, false from inserted
