-- The runs that triggers in force did not start in the last seven days: flow, trigger, how often, when last (UTC) and why. What was
-- before a trigger listened to what it does now does not count. Gives up after five seconds; must be sent as one transaction.

set transaction read only;
set local statement_timeout = '5s';

select t.flow, t.name, count(*), to_char(max(e.happened_at) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       coalesce((array_agg(e.detail ->> 'error' order by e.id desc))[1], '')
from flowsmith.triggers t
join flowsmith.events e on e.kind = 'trigger-failed' and e.detail ->> 'flow' = t.flow and e.detail ->> 'trigger' = t.name
  and e.happened_at > greatest(now() - interval '7 days', t.since)
group by t.flow, t.name
order by t.flow, t.name;
