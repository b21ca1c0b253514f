{#- Records who cancelled a run, when and why, if this transaction cancelled it. -#}
select flowsmith.record_cancelled_run({{ run_id | literal }}::uuid, {% if reason is none %}null{% else %}{{ reason | literal }}::text{% endif %})
