-- Discards an event that starts no run. Parameters: $1 flow, $2 trigger, $3 event id, $4 PgQ batch or null, $5 data, $6 error,
-- $7 queue.
select flowsmith.discard_event($1, $2, $7, $3, $4, flowsmith.event_data($5), $6)
