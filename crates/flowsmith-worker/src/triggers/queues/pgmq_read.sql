-- Messages that are visible: $1 queue, $2 for how many seconds others do not see them, $3 how many at most.
select m.msg_id, m.enqueued_at::text, m.message::text, m.read_ct::integer
from pgmq.read($1::text, $2::integer, $3::integer) m
order by m.msg_id
