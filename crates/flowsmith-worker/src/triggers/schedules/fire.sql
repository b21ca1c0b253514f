-- Starts the run of a schedule, unless it was started before. Parameters: $1 flow, $2 trigger, $3 the planned time in seconds
-- since 1970.
select flowsmith.fire_schedule($1, $2, to_timestamp($3::bigint))::text as run_id
