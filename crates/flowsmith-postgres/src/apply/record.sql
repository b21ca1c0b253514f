-- Completes the ledger row that a migration added. Parameters: $1 version, $2 checksum, $3 duration in milliseconds, $4
-- version of flowsmith.
update flowsmith.migrations set checksum = $2, duration_ms = $3, tool_version = $4 where version = $1
