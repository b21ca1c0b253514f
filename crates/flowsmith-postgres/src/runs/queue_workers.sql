{#- Whether anybody works on some queues. -#}
with clock as materialized (select clock_timestamp() as now)
{% include "last_worker.sql" %}
