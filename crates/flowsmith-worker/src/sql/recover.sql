-- Queues tasks again whose worker has gone silent; pg_cron does it where it is installed.
select pgflow.requeue_stalled_tasks()
