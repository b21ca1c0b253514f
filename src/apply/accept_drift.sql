-- Notes that drift was accepted: $1 the flows that differ.
insert into flowsmith.events (kind, detail) values ('drift-accepted', jsonb_build_object('flows', $1::text[]))
