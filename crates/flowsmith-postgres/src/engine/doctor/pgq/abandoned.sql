-- Drops the scratch queues that interrupted runs of `flowsmith doctor` left, and returns their number. $1 is a pattern of
-- their names, which contain the process ID of the doctor's backend. A queue was left if that process has ended, or if the
-- queue is older than any test takes: behind a pooler the backend continues to exist.
select count(pgq.drop_queue(q.queue_name, true)) as dropped
from pgq.queue q
where q.queue_name ~ $1
  and (q.queue_switch_time < now() - interval '10 minutes'
    or not exists (select from pg_catalog.pg_stat_activity a where a.pid::text = split_part(q.queue_name, '_', 4)))
