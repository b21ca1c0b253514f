-- Returns one row with the statistics that PgQ reports for the queue $1 and its consumer $2.
select q.last_tick_id, q.ticker_lag is not null as has_lag, q.ev_new, c.last_tick, c.pending_events
from pgq.get_queue_info($1) q
cross join pgq.get_consumer_info($1, $2) c
