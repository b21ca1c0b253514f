-- Starts a run for each of these events that has none: $1 flow, $2 trigger, $3 PgQ's batch or null, and the events as
-- arrays: $4 ids, $5 inputs; $6 their queue. One row an event: the run, or null where it was taken before.
select flowsmith.take_event($1, $2, $6, e.id, $3, e.input::pg_catalog.jsonb)::text
from unnest($4::bigint[], $5::text[]) with ordinality as e (id, input, place)
order by e.place
