-- Returns the OID of the table of the queue $1.
select pg_catalog.to_regclass(q.queue_data_pfx)::oid::bigint as table_id
from pgq.get_queue_info($1::text) info join pgq.queue q using (queue_name)
