-- Returns the state of all queues except the doctor's own ($1, a pattern of names). Times are in seconds.
select
  queue.queue_name as name,
  extract(epoch from queue.ticker_lag)::float8 as since_tick,
  extract(epoch from queue.queue_ticker_idle_period)::float8 as idle_period,
  extract(epoch from now() - queue.queue_switch_time)::float8 as since_rotation,
  extract(epoch from queue.queue_rotation_period)::float8 as rotation_period,
  queue.queue_external_ticker as is_ticked_elsewhere,
  queue.queue_ticker_paused as is_paused,
  coalesce(queue.ev_new, 0) as new_events,
  queue.ev_per_sec as events_per_second
from pgq.get_queue_info() queue
where queue.queue_name !~ $1
order by queue.queue_name
