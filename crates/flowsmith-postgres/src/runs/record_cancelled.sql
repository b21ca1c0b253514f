{#- Records who cancelled a run, when and why, if this transaction cancelled it. Returns no row. -#}
select
from (select flowsmith.record_cancelled_run({{ run_id | literal }}::uuid, {% if reason is none %}null{% else %}{{ reason | literal }}::text{% endif %}) is null as recorded offset 0) call
where call.recorded is null
