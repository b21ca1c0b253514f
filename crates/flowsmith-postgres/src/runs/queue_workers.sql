{#- Returns the number of live workers of some queues, and the state of the worker that was heard from last. -#}
with clock as materialized (select clock_timestamp() as now)
{% include "last_worker.sql" %}
