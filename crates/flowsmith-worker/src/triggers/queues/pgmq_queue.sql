-- The oid of the table of a queue: $1.
select pg_catalog.to_regclass(format('pgmq.%I', 'q_' || lower($1::text)))::oid::bigint
