-- Reads visible messages. Parameters: $1 queue, $2 seconds for which they become invisible, $3 maximum number.
select event.msg_id, event.enqueued_at::text, event.message::text, event.read_ct::integer
from pgmq.read($1::text, $2::integer, $3::integer) event
order by event.msg_id
