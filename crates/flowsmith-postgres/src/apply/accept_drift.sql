-- Notes that drift was accepted: $1 the flows that differ, $2 every difference in words.
insert into flowsmith.events (kind, detail)
values ('drift-accepted', jsonb_build_object('flows', $1::text[], 'differences', $2::text[]))
