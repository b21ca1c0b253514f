-- The heartbeat of a worker's rows, and whether somebody has told it to end. A row that somebody deleted is made anew, since
-- tasks refer to it.
with beat as (
  update pgflow.workers w set last_heartbeat_at = clock_timestamp()
  where w.worker_id = any (:ids)
  returning w.worker_id, w.queue_name, w.deprecated_at is not null as is_deprecated
),
again as (
  insert into pgflow.workers (worker_id, queue_name, function_name)
  select mine.id, mine.queue, :name from unnest(:ids, :queues) mine (id, queue)
  where mine.id not in (select b.worker_id from beat b)
  on conflict do nothing
  returning queue_name
)
select b.queue_name, b.is_deprecated from beat b
union all
select a.queue_name, false from again a
