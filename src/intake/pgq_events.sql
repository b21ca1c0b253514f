-- The events of a batch: $1.
select e.ev_id, e.ev_time::text, e.ev_type, e.ev_data, coalesce(e.ev_retry, 0) from pgq.get_batch_events($1) e order by e.ev_id
