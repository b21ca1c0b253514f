-- Returns the OID of the table of the queue $1.
select pg_catalog.to_regclass(format('pgmq.%I', 'q_' || lower($1::text)))::oid::bigint as table_id
