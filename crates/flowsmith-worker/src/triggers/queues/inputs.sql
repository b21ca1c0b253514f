-- Returns the inputs of the runs that events start, for events that have not been consumed. Parameters: $1 flow, $2 trigger;
-- the events as arrays: $3 ids, $4 times, $5 types, $6 data; $7 queue. `input` is the expression from the flow file, in
-- parentheses; `flowsmith check` has verified that the parentheses in it are balanced.
select event.id, (
:input
)::pg_catalog.jsonb::pg_catalog.text as input
from (
  select given.id, given.time::timestamptz as time, given.type, flowsmith.event_data(given.data) as data
  from unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) with ordinality as given (id, time, type, data, position)
  where not exists (
    select from flowsmith.consumed_events consumed
    where consumed.flow = $1 and consumed.name = $2 and consumed.queue = $7 and consumed.event_id = given.id)
  order by given.position
) as event
