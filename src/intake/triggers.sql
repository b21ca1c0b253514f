-- The queues that start runs: flow, trigger, whose queue, its name, the expression for the input.
select t.flow, t.name, q.source ->> 'kind' as kind, q.source ->> 'queue' as queue, q.source ->> 'input_sql' as input_sql
from flowsmith.triggers t
cross join lateral (select t.definition #> '{source,queue}') as q (source)
where t.kind = 'queue'
order by t.flow, t.name
