-- Returns the inputs of the runs that events start, for events that have not been consumed. Parameters: $1 flow, $2 trigger;
-- the events as arrays: $3 ids, $4 times, $5 types, $6 data; $7 queue.
select event.event_id as id, event.input
from flowsmith.event_inputs($1, $2, $7, $3::bigint[], $4::text[], $5::text[], $6::text[]) event
