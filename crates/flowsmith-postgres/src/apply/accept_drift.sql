-- Records that drift was accepted. Parameters: $1 the flows that differ, $2 a description of each difference.
select flowsmith.record_accepted_drift($1::text[], $2::text[])
