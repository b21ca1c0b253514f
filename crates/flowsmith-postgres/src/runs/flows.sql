{#- Returns all flow versions: names, state, declared input, whether the queue exists, and since when and by whom the version
    is paused. -#}
select f.flow_slug as slug, to_regclass(format('pgmq.%I', 'q_' || lower(f.flow_slug))) is not null as has_queue,
{% if engine.ledger %}
  coalesce(v.flow, f.flow_slug) as flow, coalesce(v.version, 1) as version, coalesce(v.state, 'unmanaged') as state,
  v.definition -> 'input' as input,
{% else %}
  f.flow_slug as flow, 1 as version, 'unmanaged' as state, null as input,
{% endif %}
{% if engine.operations %}
  paused.paused_at, paused.paused_by
{% else %}
  null as paused_at, null as paused_by
{% endif %}
from pgflow.flows f
{% if engine.ledger %}
left join flowsmith.flow_versions v on v.flow_slug = f.flow_slug
{% endif %}
{% if engine.operations %}
left join pgflow.paused_flows paused on paused.flow_slug = f.flow_slug
{% endif %}
order by 3, 4
