-- Returns the schedules that pg_cron does not run: the present time of the database, flow, trigger, schedule, and the time up
-- to which its firings have been processed. Times are in seconds since 1970.
select floor(extract(epoch from clock_timestamp()))::bigint as now, t.flow, t.name, t.definition #>> '{source,cron,schedule}' as schedule,
       floor(extract(epoch from greatest(t.since, (
         select max(firing.planned_at) from flowsmith.firings firing where firing.flow = t.flow and firing.name = t.name))))::bigint as done
from flowsmith.active_triggers() t
where t.kind = 'cron' and not t.scheduled
order by t.flow, t.name
