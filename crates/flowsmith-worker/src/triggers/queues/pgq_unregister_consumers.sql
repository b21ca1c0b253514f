-- Unregisters PgQ consumers of triggers that are no longer active. Returns the consumer, its queue, the approximate
-- number of events that it had not consumed, and whether this session unregistered it. Requires PgQ.
select consumer.consumer_name as consumer, consumer.queue_name as queue,
       greatest(coalesce(consumer.pending_events, 0) + coalesce(queue.ev_new, 0), 0)::bigint as unread,
       pgq.unregister_consumer(consumer.queue_name, consumer.consumer_name) > 0 as has_unregistered
from pgq.get_consumer_info() consumer
cross join lateral pgq.get_queue_info(consumer.queue_name) queue
where consumer.consumer_name like 'flowsmith:%:%'
  and not exists (
    select from flowsmith.active_triggers() t
    where t.kind = 'queue' and consumer.consumer_name = 'flowsmith:' || t.flow || ':' || t.name
      and t.definition #>> '{source,queue,kind}' = 'pgq' and t.definition #>> '{source,queue,queue}' = consumer.queue_name)
