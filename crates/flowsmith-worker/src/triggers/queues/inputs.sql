{#-
  The inputs of the runs that these events are to start, of those that have started none: $1 flow, $2 trigger, and the events
  as arrays: $3 ids, $4 times, $5 types, $6 data; $7 their queue. `input` is the expression of the flow file, in parentheses that a check of
  the file has shown it does not leave.
-#}
select event.id, (
{{ input }}
)::pg_catalog.jsonb::pg_catalog.text
from (
  select e.id, e.time::timestamptz as time, e.type, flowsmith.event_data(e.data) as data
  from unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) with ordinality as e (id, time, type, data, place)
  where not exists (select from flowsmith.consumed_events t where t.flow = $1 and t.name = $2 and t.queue = $7 and t.event_id = e.id)
  order by e.place
) as event
