-- Sets the isolation level of an install, and a lock timeout, so that the session that holds a lock for longer (a large
-- apply) is reported. A timeout that is configured for the role, the database or the connection is kept.
set transaction isolation level read committed;
select set_config('lock_timeout', '10s', true) where current_setting('lock_timeout') = '0';
