-- Drops the scratch queues ($1, a pattern of names) that an interrupted doctor left behind, and counts them. Its backend
-- is named in the queue's name: none of that id is left, or the queue is older than any walk (behind a pooler the backend
-- lives on).
select count(pgq.drop_queue(q.queue_name, true))
from pgq.queue q
where q.queue_name ~ $1
  and (q.queue_switch_time < now() - interval '10 minutes'
    or not exists (select from pg_catalog.pg_stat_activity a where a.pid::text = split_part(q.queue_name, '_', 4)))
