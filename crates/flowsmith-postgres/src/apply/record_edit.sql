-- Records that a migration was applied although its file is not as compiled. Parameters: $1 version, $2 the difference.
select flowsmith.record_edited_migration($1::text, $2::text)
