{#- Sets the isolation level and the time limits of the open transaction, in milliseconds. -#}
set transaction isolation level read committed, read write;
set local lock_timeout = {{ lock_timeout }};
set local statement_timeout = {{ statement_timeout }}
