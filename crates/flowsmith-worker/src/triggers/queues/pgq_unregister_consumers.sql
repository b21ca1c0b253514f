-- Takes leave of PgQ for triggers that are not in force any more: consumer, queue, about how many events it had not taken, and
-- whether it was this session that took leave. Where there is no PgQ it is not to be called.
select c.consumer_name, c.queue_name, greatest(coalesce(c.pending_events, 0) + coalesce(i.ev_new, 0), 0)::bigint,
       pgq.unregister_consumer(c.queue_name, c.consumer_name) > 0
from pgq.get_consumer_info() c
cross join lateral pgq.get_queue_info(c.queue_name) i
where c.consumer_name like 'flowsmith:%:%'
  and not exists (
    select from flowsmith.triggers t
    where t.kind = 'queue' and c.consumer_name = 'flowsmith:' || t.flow || ':' || t.name
      and t.definition #>> '{source,queue,kind}' = 'pgq' and t.definition #>> '{source,queue,queue}' = c.queue_name)
