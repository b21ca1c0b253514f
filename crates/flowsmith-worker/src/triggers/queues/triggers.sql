-- The queues that start runs: flow, trigger, whose queue, its name, the expression for the input; the flow's version and the
-- schema that it declares for its input, where it does.
select t.flow, t.name, q.source ->> 'kind' as kind, q.source ->> 'queue' as queue, q.source ->> 'input_sql' as input_sql,
       v.flow || '@' || v.version as version, (v.definition #> '{annotations,input}')::text as schema
from flowsmith.triggers t
cross join lateral (select t.definition #> '{source,queue}') as q (source)
left join flowsmith.flow_versions v
  on v.flow = t.flow and v.state = 'current' and jsonb_typeof(v.definition #> '{annotations,input}') <> 'null'
where t.kind = 'queue'
order by t.flow, t.name
