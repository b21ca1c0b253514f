-- Puts the events that wait for a retry back into the queue $1, whenever they are due, and counts them. It is what
-- pgq.maint_retry_events() does, which would move those of every queue.
with due as (
  delete from pgq.retry_queue r
  using pgq.queue q
  where q.queue_id = r.ev_queue and q.queue_name = $1
  returning r.*
)
select count(pgq.insert_event_raw($1, d.ev_id, d.ev_time, d.ev_owner, d.ev_retry, d.ev_type, d.ev_data,
  d.ev_extra1, d.ev_extra2, d.ev_extra3, d.ev_extra4))
from due d
