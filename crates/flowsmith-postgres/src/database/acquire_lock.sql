{#- Takes the lock in the open transaction: that of the ledger, or the advisory lock `key` before there is a ledger. After a lock
    timeout, the transaction can be rolled back to the savepoint and continue. -#}
savepoint before_lock;
{% if ledger -%}
select flowsmith.acquire_lock()
{%- else -%}
select pg_catalog.pg_advisory_xact_lock({{ key }})
{%- endif %}
