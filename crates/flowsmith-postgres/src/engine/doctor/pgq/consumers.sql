-- Returns the consumers of all queues except the doctor's own ($1, a pattern of names). `behind` is the lag behind the
-- newest tick and not behind the present time, because a consumer cannot advance while the ticker is stopped. Subconsumers,
-- which have no ticks, are left out. Times are in seconds.
select
  q.queue_name as queue,
  c.co_name as name,
  extract(epoch from newest.tick_time - done.tick_time)::float8 as behind,
  extract(epoch from now() - s.sub_active)::float8 as since_seen,
  extract(epoch from q.queue_ticker_idle_period)::float8 as idle_period,
  coalesce(newest.tick_event_seq - done.tick_event_seq, 0) as pending_events,
  s.sub_batch as batch
from pgq.subscription s
join pgq.queue q on q.queue_id = s.sub_queue
join pgq.consumer c on c.co_id = s.sub_consumer
join pgq.tick done on done.tick_queue = s.sub_queue and done.tick_id = s.sub_last_tick
cross join lateral (
  select t.tick_time, t.tick_event_seq from pgq.tick t where t.tick_queue = s.sub_queue order by t.tick_id desc limit 1) newest
where q.queue_name !~ $1
order by q.queue_name, c.co_name
