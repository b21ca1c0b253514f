-- Returns the process ID of the server process that answers.
select pg_backend_pid() as pid
