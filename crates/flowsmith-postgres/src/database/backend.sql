-- Which of the server's processes answers.
select pg_backend_pid() as pid
