{#-
  One migration; src/migration/render.rs defines the fields.
  Every value passes through `literal` (SQL) or `comment`. The three dollar tags occur in none of the values: the plan and
  the name contain every value in the body, and comments in the body contain names of flows only.
-#}
-- flowsmith migration {{ id|comment }}
--
{%- for line in summary %}
-- {{ line|comment }}
{%- endfor %}
--
-- Requires engine level {{ engine }} or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do {{ body_tag }}
declare
  plan constant jsonb := {{ plan_tag }}
{{ plan }}
{{ plan_tag }};
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration({{ version|literal }}, {{ name|literal }}, plan) then
    return;  -- already applied
  end if;
{%- for flow in gone %}

  -- {{ flow.id }}
  perform flowsmith.{{ flow.action }}_flow({{ flow.slug|literal }});
{%- endfor %}
{%- if made %}

  -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
  if not flowsmith.create_flows(plan) then
    execute {{ calls_tag }}
{%- for flow in made %}
      -- {{ flow.id }}
      select pgflow.create_flow(flow_slug => {{ flow.slug|literal }}
        {%- for option in flow.options %}, {{ option.name }} => {{ option.value }}{% endfor %});
{%- for step in flow.steps %}
      select pgflow.add_step(flow_slug => {{ flow.slug|literal }}, step_slug => {{ step.slug|literal }}
        {%- if step.depends_on %}, deps_slugs => array[
          {%- for slug in step.depends_on %}{{ slug|literal }}{% if not loop.last %}, {% endif %}{% endfor %}]
        {%- endif %}
        {%- for option in step.options %}, {{ option.name }} => {{ option.value }}{% endfor %});
{%- endfor %}
{%- endfor %}
    {{ calls_tag }};
  end if;
{%- endif %}
{%- for flow in tuned %}

  -- {{ flow.id }}
{%- for update in flow.updates %}
  update {{ update.table }} set {% for option in update.set -%}
      {{ option.name }} = {{ option.value }}{% if not loop.last %}, {% endif %}{% endfor %}
    where flow_slug = {{ flow.slug|literal }}
    {%- if update.step is not none %} and step_slug = {{ update.step|literal }}{% endif %} and (
    {%- for option in update.set %}{{ option.name }}{% if not loop.last %}, {% endif %}{% endfor %}) is distinct from (
    {%- for option in update.set %}{{ option.value }}{% if not loop.last %}, {% endif %}{% endfor %});
{%- endfor %}
{%- endfor %}

  perform flowsmith.end_migration({{ version|literal }}, {{ name|literal }}, plan);
{%- if triggers %}

  -- Create, change and drop triggers to match the current versions of these flows.
  perform flowsmith.sync_triggers(array[
    {%- for slug in triggers %}{{ slug|literal }}{% if not loop.last %}, {% endif %}{% endfor %}]);
{%- endif %}
end
{{ body_tag }};
