{#-
  Starts a run for each of these events that has none: $1 flow, $2 trigger, $3 PgQ's batch or null, and the events as
  arrays: $4 ids, $5 times, $6 types, $7 data. `input` is the expression of the flow file, in parentheses that a check of
  the file has shown it does not leave. One row an event: the run, or null where it was taken before.
-#}
select flowsmith.take_event($1, $2, event.id, $3, (
{{ input }}
)::pg_catalog.jsonb)::text
from (
  select e.id, e.time::timestamptz as time, e.type, flowsmith.event_data(e.data) as data
  from unnest($4::bigint[], $5::text[], $6::text[], $7::text[]) with ordinality as e (id, time, type, data, place)
  order by e.place
) as event
