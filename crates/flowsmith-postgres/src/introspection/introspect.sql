{#-
  Reads everything that flowsmith compares, in one round trip: flows, steps, dependencies, applied migrations, differences
  of triggers, schedules that pg_cron does not run. The column `part` says which of these a row is.
  Fields: `own_transaction` (run the statements in a transaction of their own), `conditions` (the engine has the columns of level 0.14), `ledger` (the schema flowsmith exists), `triggers` (this
  role can read the triggers).
-#}
{% if own_transaction -%}
begin isolation level repeatable read, read only;
-- The planner does not know how few flows there are, and would compile what takes a few milliseconds.
set local jit = off;
{% endif -%}
select 'flow' as part, f.flow_slug, f.opt_max_attempts, f.opt_base_delay, f.opt_timeout, queue.queue_name is not null as has_queue,
{%- if ledger %}
  v.flow, v.version, v.state, (v.definition -> 'annotations')::text as annotations, (v.definition -> 'triggers')::text as triggers
{%- else %}
  null::text as flow, null::int as version, null::text as state, null::text as annotations, null::text as triggers
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
-- The expressions of a trigger's function are evaluated with the privileges of its owner, if this is the current role, or a
-- role to which the current role can switch, unless the current role is a superuser, to which an expression could switch
-- back. Otherwise they are only parsed. The owner is read from the catalog, because deployers can write to
-- flowsmith.triggers.
select 'trigger difference' as part, d.flow, d.name as trigger, d.difference, d.declared, false as broken
from flowsmith.trigger_differences() d
union all
select 'trigger difference', t.flow, t.name, invalid.error, true, true
from flowsmith.triggers t
cross join lateral flowsmith.trigger_expression_errors(t.definition, (
  select owner.rolname::text
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname = 'flowsmith_triggers'
  join pg_catalog.pg_roles owner on owner.oid = p.proowner
  where p.proname = flowsmith.trigger_name(t.flow, t.name)::name
    and p.prosrc = flowsmith.trigger_function_body(t.flow, t.name, t.definition)
    and (owner.rolname = current_user
      or pg_has_role(owner.oid,
        case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
      and not (select self.rolsuper from pg_catalog.pg_roles self where self.rolname = current_user)))) invalid
where t.kind <> 'cron'
order by flow, trigger, difference;

select 'unscheduled trigger' as part, t.flow, t.name as trigger
from flowsmith.triggers t where t.kind = 'cron' and not t.scheduled order by t.flow, t.name;
{%- endif %}
{%- if own_transaction %}
commit;
{%- endif %}
