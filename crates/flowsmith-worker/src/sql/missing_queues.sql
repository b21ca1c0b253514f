-- Those of these flows whose queue does not exist.
select f.slug from unnest(:flows) f (slug) where to_regclass(format('pgmq.%I', 'q_' || lower(f.slug))) is null
