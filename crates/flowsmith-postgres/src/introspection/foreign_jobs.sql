-- Active jobs of pg_cron that start flows and were not created by flowsmith: name or number, schedule, command.
select coalesce(j.job, j.job_id::text) as name, j.schedule, j.command
from flowsmith.held_jobs() j
where j.active and coalesce(not starts_with(j.job, 'flowsmith:'), true)
order by 1
