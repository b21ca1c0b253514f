-- Requeues stalled tasks of silent workers. Where pg_cron is installed, its job does the same.
select pgflow.requeue_stalled_tasks()
