{#- Records who retried a run, if this transaction retried it. Returns no row. -#}
select
from (select flowsmith.record_retried_run({{ run_id | literal }}::uuid) is null as recorded offset 0) call
where call.recorded is null
