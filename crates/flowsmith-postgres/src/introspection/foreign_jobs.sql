-- Returns active pg_cron jobs that start flows but were not created by flowsmith. A job without a name has its number.
select coalesce(j.job, j.job_id::text) as name, j.schedule, j.command
from flowsmith.actual_cron_jobs() j
where j.active and coalesce(not starts_with(j.job, 'flowsmith:'), true)
order by 1
