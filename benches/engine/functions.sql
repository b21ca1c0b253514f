select
  f.schemaname || '.' || f.funcname as name,
  f.calls,
  f.self_time / f.calls as itself,
  f.total_time / f.calls as total
from pg_stat_user_functions f
where f.calls > 0
order by f.self_time desc
limit 15
