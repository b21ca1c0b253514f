-- Requeues tasks whose worker stopped responding. pg_cron does this if it is installed.
select pgflow.requeue_stalled_tasks() as tasks
