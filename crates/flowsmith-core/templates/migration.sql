{#-
  One migration; src/migration/render.rs defines the fields. The file is a function of the plan, and nothing in it depends
  on anything else. Neither dollar tag occurs in the plan.
-#}
-- flowsmith migration {{ id }}
--
{%- for line in header %}
--{% if line %} {{ line }}{% endif %}
{%- endfor %}
--
-- Apply it with `flowsmith apply`, `psql -1 -f` or another migration tool. It runs in one transaction; running it again has
-- no effect. Written by `flowsmith compile`; an edited file is refused.
do {{ body_tag }}
declare
  plan constant pg_catalog.text := {{ plan_tag }}
{{ plan }}
{{ plan_tag }};
  caller_path constant pg_catalog.text := pg_catalog.current_setting('search_path');
  caller_settings pg_catalog.jsonb;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if to_regprocedure('flowsmith.begin_migration(text)') is null then
    raise exception 'the schema flowsmith is not installed in this database'
      using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  caller_settings := flowsmith.pin_settings();
  if flowsmith.begin_migration(plan) then
{%- if drops %}
    perform flowsmith.drop_flows(plan);
{%- endif %}
{%- if resets %}
    perform flowsmith.reset_flows(plan);
{%- endif %}
{%- if creates %}
    -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
    if not flowsmith.create_flows(plan) then
      perform pgflow.create_flow(
        flow_slug => f.flow_slug, max_attempts => f.max_attempts, base_delay => f.base_delay, timeout => f.timeout)
      from flowsmith.planned_flows(plan) f;
      perform pgflow.add_step(
        flow_slug => s.flow_slug, step_slug => s.step_slug, deps_slugs => s.depends_on, step_type => s.kind,
{%- if has_conditions %}
        required_input_pattern => s.required_input_pattern, forbidden_input_pattern => s.forbidden_input_pattern,
        when_unmet => s.when_unmet, when_exhausted => s.when_exhausted,
{%- endif %}
        max_attempts => s.max_attempts, base_delay => s.base_delay, timeout => s.timeout, start_delay => s.start_delay)
      from flowsmith.planned_steps(plan) s;
    end if;
{%- endif %}
{%- if tunes %}
    perform flowsmith.tune_flows(plan);
{%- endif %}
    perform flowsmith.end_migration(plan);
{%- if syncs_triggers %}
    -- Create, change and drop triggers to match the current versions of these flows.
    perform flowsmith.sync_triggers(flowsmith.planned_triggers(plan));
{%- endif %}
  end if;
  perform flowsmith.restore_settings(caller_settings);
  perform set_config('search_path', caller_path, true);
end
{{ body_tag }};
