-- Takes leave of PgQ for triggers that are not in force any more. Where there is no PgQ there is nothing to do.
do $unregister$
begin
  if exists (select from pg_catalog.pg_extension e where e.extname = 'pgq') then
    perform pgq.unregister_consumer(c.queue_name, c.consumer_name)
    from pgq.get_consumer_info() c
    where c.consumer_name like 'flowsmith:%:%'
      and not exists (
        select from flowsmith.triggers t
        where t.kind = 'queue' and c.consumer_name = 'flowsmith:' || t.flow || ':' || t.name
          and t.definition #>> '{source,queue,kind}' = 'pgq' and t.definition #>> '{source,queue,queue}' = c.queue_name);
  end if;
end
$unregister$
