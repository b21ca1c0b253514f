-- Returns those of the flows whose queue does not exist.
select flow.slug from unnest(:flows) flow (slug) where to_regclass(format('pgmq.%I', 'q_' || lower(flow.slug))) is null
