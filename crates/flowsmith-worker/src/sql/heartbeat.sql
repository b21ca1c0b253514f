-- Writes the heartbeat of a worker's rows, and returns whether each row was deprecated. A deleted row is inserted again,
-- because tasks refer to it.
with updated as (
  update pgflow.workers w set last_heartbeat_at = clock_timestamp()
  where w.worker_id = any (:ids)
  returning w.worker_id, w.queue_name, w.deprecated_at is not null as is_deprecated
),
reinserted as (
  insert into pgflow.workers (worker_id, queue_name, function_name)
  select mine.id, mine.queue, :name from unnest(:ids, :queues) mine (id, queue)
  where mine.id not in (select u.worker_id from updated u)
  on conflict do nothing
  returning queue_name
)
select u.queue_name, u.is_deprecated from updated u
union all
select r.queue_name, false from reinserted r
