-- Returns the events that wait for a retry to the queue $1, due or not, and counts them. pgq.maint_retry_events() does the
-- same for the due events of all queues.
with retried as (
  delete from pgq.retry_queue waiting
  using pgq.queue q
  where q.queue_id = waiting.ev_queue and q.queue_name = $1
  returning waiting.*
)
select count(pgq.insert_event_raw($1, event.ev_id, event.ev_time, event.ev_owner, event.ev_retry, event.ev_type,
  event.ev_data, event.ev_extra1, event.ev_extra2, event.ev_extra3, event.ev_extra4)) as returned
from retried event
