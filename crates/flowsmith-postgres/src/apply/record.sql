-- Completes the ledger row that a migration added; returns whether there is one. Parameters: $1 version, $2 checksum, $3
-- duration in milliseconds, $4 version of flowsmith.
select flowsmith.record_migration($1::text, $2::text, $3::bigint, $4::text)
