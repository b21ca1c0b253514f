{#-
  Everything that flowsmith compares, in one round trip: flows, steps, dependencies, the ledger, differences of triggers,
  schedules that pg_cron does not run. Each statement returns one result set; reader.rs tells them apart by their columns.
  Fields: `conditions` (the engine has the columns of level 0.14), `ledger` (the flowsmith schema exists), `triggers`
  (it has triggers, and the role may read them).
-#}
select f.flow_slug, f.opt_max_attempts, f.opt_base_delay, f.opt_timeout, q.queue_name is not null as has_queue,
{%- if ledger %}
  v.flow, v.version, v.state, (v.definition -> 'annotations')::text as annotations, (v.definition -> 'triggers')::text as triggers
{%- else %}
  null::text as flow, null::int as version, null::text as state, null::text as annotations, null::text as triggers
{%- endif %}
from pgflow.flows f
left join pgmq.meta q on q.queue_name = f.flow_slug
{%- if ledger %}
left join flowsmith.flow_versions v on v.flow_slug = f.flow_slug
{%- endif %}
order by f.flow_slug collate "C";

select s.flow_slug, s.step_slug, s.step_type, s.opt_max_attempts, s.opt_base_delay, s.opt_timeout, s.opt_start_delay,
{%- if conditions %}
  s.required_input_pattern::text as required, s.forbidden_input_pattern::text as forbidden, s.when_unmet, s.when_exhausted
{%- else %}
  null::text as required, null::text as forbidden, 'skip'::text as when_unmet, 'fail'::text as when_exhausted
{%- endif %}
from pgflow.steps s
order by s.flow_slug collate "C", s.step_index;

select d.flow_slug, d.step_slug, d.dep_slug from pgflow.deps d;

{% if ledger -%}
select m.version, m.name, m.checksum, to_char(m.applied_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as applied_at, m.applied_by
from flowsmith.migrations m order by m.version;
{%- endif %}
{% if triggers %}
-- Expressions that stand in the function so are tried with its owner's rights, where that is this role, or one that this role may become
-- and that could gain little by turning the session back: not where it is a superuser's. Else they are parsed alone. What the table says
-- of the owner is not trusted: deployers write it.
select d.flow, d.name as trigger, d.difference, d.declared, false as broken from flowsmith.trigger_differences() d
union all
select t.flow, t.name, f.fault, true, true
from flowsmith.triggers t
cross join lateral flowsmith.trigger_faults(t.definition, (
  select o.rolname::text
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname = 'flowsmith_triggers'
  join pg_catalog.pg_roles o on o.oid = p.proowner
  where p.proname = flowsmith.trigger_name(t.flow, t.name)::name and p.prosrc = flowsmith.trigger_body(t.flow, t.name, t.definition)
    and (o.rolname = current_user or pg_has_role(o.oid, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
      and not (select m.rolsuper from pg_catalog.pg_roles m where m.rolname = current_user)))) f
where t.kind <> 'cron'
order by 1, 2, 3;

select t.flow, t.name as unscheduled from flowsmith.triggers t where t.kind = 'cron' and not t.scheduled order by t.flow, t.name;
{%- endif %}
