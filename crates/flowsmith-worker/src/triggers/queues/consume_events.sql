-- Starts a run for each event that has not been consumed. Parameters: $1 flow, $2 trigger, $3 PgQ batch or null; the events
-- as arrays: $4 ids, $5 inputs; $6 queue. Returns one row for each event: the run's id, or null if the event was consumed
-- before.
select flowsmith.consume_event($1, $2, $6, event.id, $3, event.input::pg_catalog.jsonb)::text as run_id
from unnest($4::bigint[], $5::text[]) with ordinality as event (id, input, position)
order by event.position
