-- Returns the registered triggers that failed to start runs in the last seven days, with the number of failures and the
-- time (UTC) and error of the last one. Failures from before a trigger got its present source are left out.

select t.flow, t.name, count(*) as failures,
       to_char(max(failure.happened_at) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_at,
       coalesce((array_agg(failure.detail ->> 'error' order by failure.id desc))[1], '') as last_error
from flowsmith.triggers t
join flowsmith.events failure on failure.kind = 'trigger-failed'
  and failure.detail ->> 'flow' = t.flow and failure.detail ->> 'trigger' = t.name
  and failure.happened_at > greatest(now() - interval '7 days', t.since)
group by t.flow, t.name
order by t.flow, t.name;
