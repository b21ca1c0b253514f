-- Records an event that starts no run: $1 flow, $2 trigger, $3 event, $4 PgQ's batch or null, $5 its data, $6 why, $7 its queue.
select flowsmith.give_up_event($1, $2, $7, $3, $4, flowsmith.event_data($5), $6)
