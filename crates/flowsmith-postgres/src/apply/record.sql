-- Completes the ledger row that the migration itself has written: $1 version, $2 checksum, $3 milliseconds, $4 tool version.
update flowsmith.migrations set checksum = $2, duration_ms = $3, tool_version = $4 where version = $1
