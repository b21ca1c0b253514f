{#-
  Reads everything that flowsmith compares, in one round trip: flows, steps, dependencies, applied migrations, differences
  of triggers, schedules that pg_cron does not run. The column `part` says which of these a row is.
  Fields: `conditions` (the engine has the columns of level 0.14), `ledger` (the schema flowsmith exists), `triggers` (this
  role can read the triggers).
-#}
select 'flow' as part, f.flow_slug, f.opt_max_attempts, f.opt_base_delay, f.opt_timeout, queue.queue_name is not null as has_queue,
{%- if ledger %}
  v.flow, v.version, v.state,
  case jsonb_typeof(v.definition) when 'object' then v.definition - '{options,steps,triggers}'::text[] else v.definition end::text as annotations,
  jsonb_path_query_array(v.definition, '$.steps[*] ? (exists (@.handler) || exists (@.output))')::text as described_steps,
  (v.definition -> 'triggers')::text as triggers,
  v.definition is null or coalesce(
    jsonb_typeof(v.definition -> 'steps') = 'array' and coalesce(jsonb_typeof(v.definition -> 'options'), 'object') = 'object'
      and not jsonb_path_exists(v.definition, '$.steps[*] ? (!(@.slug.type() == "string"))'), false) as is_readable
{%- else %}
  null::text as flow, null::int as version, null::text as state, null::text as annotations, null::text as described_steps,
  null::text as triggers, true as is_readable
{%- endif %}
from pgflow.flows f
left join pgmq.meta queue on queue.queue_name = f.flow_slug
{%- if ledger %}
left join flowsmith.flow_versions v on v.flow_slug = f.flow_slug
{%- endif %}
order by f.flow_slug collate "C";

select 'step' as part, s.flow_slug, s.step_slug, s.step_type, s.opt_max_attempts, s.opt_base_delay, s.opt_timeout,
  s.opt_start_delay,
{%- if conditions %}
  s.required_input_pattern::text as required_input_pattern, s.forbidden_input_pattern::text as forbidden_input_pattern,
  s.when_unmet, s.when_exhausted
{%- else %}
  null::text as required_input_pattern, null::text as forbidden_input_pattern,
  'skip'::text as when_unmet, 'fail'::text as when_exhausted
{%- endif %}
from pgflow.steps s
order by s.flow_slug collate "C", s.step_index;

select 'dependency' as part, d.flow_slug, d.step_slug, d.dep_slug from pgflow.deps d;

{% if ledger -%}
select 'migration' as part, m.version, m.name, m.checksum,
  coalesce(to_char(m.applied_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), m.applied_at::text) as applied_at, m.applied_by
from flowsmith.migrations m order by m.version;
{%- endif %}
{% if triggers %}
select 'trigger difference' as part, d.flow, d.name as trigger, d.difference, d.declared, d.broken
from flowsmith.trigger_differences() d
order by d.flow, d.name, d.difference;

select 'unscheduled trigger' as part, t.flow, t.name as trigger
from flowsmith.triggers t where t.kind = 'cron' and not t.scheduled order by t.flow, t.name;
{%- endif %}
