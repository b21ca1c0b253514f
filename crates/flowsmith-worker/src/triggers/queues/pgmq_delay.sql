-- Hides a message for some time. Parameters: $1 queue, $2 message, $3 seconds.
select from pgmq.set_vt($1::text, $2::bigint, $3::integer)
