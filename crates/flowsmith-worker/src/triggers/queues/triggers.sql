-- Returns the active queue triggers: flow, trigger, kind and name of the queue; and the flow version with the schema that it
-- declares for its input, if it does.
select t.flow, t.name, queue.source ->> 'kind' as kind, queue.source ->> 'queue' as queue,
       v.flow || '@' || v.version as version, (v.definition -> 'input')::text as schema
from flowsmith.active_triggers() t
cross join lateral (select t.definition #> '{source,queue}') as queue (source)
left join flowsmith.flow_versions v
  on v.flow = t.flow and v.state = 'current' and jsonb_typeof(v.definition -> 'input') <> 'null'
where t.kind = 'queue'
order by t.flow, t.name
