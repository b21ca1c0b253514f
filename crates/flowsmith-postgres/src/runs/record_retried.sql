{#- Records who retried a run, if this transaction retried it. -#}
select flowsmith.record_retried_run({{ run_id | literal }}::uuid)
