-- Returns the process ID of the server process that answers. Not in a transaction, which a pooler would keep on one server
-- connection.
select pg_catalog.pg_backend_pid() as pid
