-- Counts the flows; lists those whose queue is missing, and those whose queue belongs neither to the owner of the engine
-- nor to a superuser.
select count(*) as flows,
  string_agg(f.flow_slug, ', ' order by f.flow_slug)
    filter (where to_regclass(format('pgmq.%I', 'q_' || lower(f.flow_slug))) is null) as without_queue,
  string_agg(f.flow_slug, ', ' order by f.flow_slug) filter (where exists (
    select from pg_catalog.pg_class c
    join pg_catalog.pg_roles owner on owner.oid = c.relowner
    where c.relnamespace = (select n.oid from pg_catalog.pg_namespace n where n.nspname = 'pgmq')
      and c.relname in ('q_' || lower(f.flow_slug), 'a_' || lower(f.flow_slug)) and not owner.rolsuper
      and c.relowner <> (
        select engine.relowner from pg_catalog.pg_class engine
        where engine.relname = 'flows'
          and engine.relnamespace = (select n.oid from pg_catalog.pg_namespace n where n.nspname = 'pgflow')))) as foreign_queue
from pgflow.flows f
