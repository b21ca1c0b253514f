-- Records that drift was accepted. Parameters: $1 the flows that differ, $2 a description of each difference.
insert into flowsmith.events (kind, detail)
values ('drift-accepted', jsonb_build_object('flows', $1::text[], 'differences', $2::text[]))
