-- How an install goes about it. Whoever holds a lock for longer is applying something large: better said than waited for
-- in silence. A limit that the role, the database or the connection has already is kept.
set transaction isolation level read committed;
select set_config('lock_timeout', '10s', true) where current_setting('lock_timeout') = '0';
