-- Counts the flows and lists those whose queue is missing.
select count(*) as flows,
  string_agg(f.flow_slug, ', ' order by f.flow_slug)
    filter (where to_regclass(format('pgmq.%I', 'q_' || lower(f.flow_slug))) is null) as without_queue
from pgflow.flows f
