{#- Every flow version: its names, its state, whether it is paused, whether it has a queue. -#}
select f.flow_slug as slug, to_regclass(format('pgmq.%I', 'q_' || lower(f.flow_slug))) is not null as has_queue,
{% if engine.ledger %}
  coalesce(v.flow, f.flow_slug) as flow, coalesce(v.version, 1) as version, coalesce(v.state, 'unmanaged') as state,
  v.definition #> '{annotations,input}' as input,
{% else %}
  f.flow_slug as flow, 1 as version, 'unmanaged' as state, null as input,
{% endif %}
{% if engine.operations %}
  p.paused_at, p.paused_by
{% else %}
  null as paused_at, null as paused_by
{% endif %}
from pgflow.flows f
{% if engine.ledger %}
left join flowsmith.flow_versions v on v.flow_slug = f.flow_slug
{% endif %}
{% if engine.operations %}
left join pgflow.paused_flows p on p.flow_slug = f.flow_slug
{% endif %}
order by 3, 4
