-- The oid of the table of a queue: $1.
select pg_catalog.to_regclass(q.queue_data_pfx)::oid::bigint from pgq.get_queue_info($1::text) i join pgq.queue q using (queue_name)
