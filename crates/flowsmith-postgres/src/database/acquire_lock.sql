{#- Takes the advisory lock `key` in the open transaction. After a lock timeout, the transaction can be rolled back to the
    savepoint and continue. -#}
savepoint before_lock;
select pg_advisory_xact_lock({{ key }})
