-- Lets 10,000 flows be made in seconds: queues are noted and not made.
create or replace function pgmq.create(queue_name text) returns void language sql as $$
  insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values (queue_name, false, false) on conflict do nothing
$$;
