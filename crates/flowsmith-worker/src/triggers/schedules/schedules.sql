-- Every schedule that no pg_cron runs: the time here, flow, trigger, schedule, and until when its firings are dealt with.
-- Times in seconds since 1970.
select floor(extract(epoch from clock_timestamp()))::bigint as now, t.flow, t.name, t.definition #>> '{source,cron,schedule}' as schedule,
       floor(extract(epoch from greatest(t.since, (
         select max(f.planned_at) from flowsmith.firings f where f.flow = t.flow and f.name = t.name))))::bigint as done
from flowsmith.triggers t
where t.kind = 'cron' and not t.scheduled
order by t.flow, t.name
