{#- Records who deleted how many finished runs, in the transaction that deletes them. Returns no row. -#}
select
from (select flowsmith.record_pruned_runs({{ older_than }}, current_setting('flowsmith.pruned')::bigint, {% if slug is none %}null{% else %}array[{{ slug | literal }}]{% endif %}) is null as recorded offset 0) call
where call.recorded is null
