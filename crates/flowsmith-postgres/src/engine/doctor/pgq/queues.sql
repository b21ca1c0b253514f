-- Each queue but the doctor's own ($1, a pattern of names), as its ticker left it. Times are seconds.
select
  i.queue_name as name,
  extract(epoch from i.ticker_lag)::float8 as since_tick,
  extract(epoch from i.queue_ticker_idle_period)::float8 as idle_period,
  extract(epoch from now() - i.queue_switch_time)::float8 as since_rotation,
  extract(epoch from i.queue_rotation_period)::float8 as rotation_period,
  i.queue_external_ticker as is_ticked_elsewhere,
  i.queue_ticker_paused as is_paused,
  coalesce(i.ev_new, 0) as new_events,
  i.ev_per_sec as events_per_second
from pgq.get_queue_info() i
where i.queue_name !~ $1
order by i.queue_name
