{#-
  One migration. What the fields are: src/migration/render.rs.
  Every value goes through `literal` (SQL) or `comment`; the three tags occur in none of the values
  (plan and name hold every value that stands inside the body; comments there name flows only).
-#}
-- flowsmith migration {{ id|comment }}
--
{%- for line in summary %}
-- {{ line|comment }}
{%- endfor %}
--
-- Engine level {{ engine }} or later. Runs in one transaction and any number of times, by `flowsmith apply`,
-- `psql -1 -f` or `sqlx migrate run`; written by `flowsmith compile`, not to be edited.
do {{ body_tag }}
declare
  plan constant jsonb := {{ plan_tag }}
{{ plan }}
{{ plan_tag }};
begin
  if to_regprocedure({{ needs|literal }}) is null then
    raise exception 'the flowsmith schema is missing in this database, or too old' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration({{ version|literal }}, {{ name|literal }}, plan) then
    return;  -- applied already
  end if;
{%- for flow in gone %}

  -- {{ flow.id }}
  perform flowsmith.{{ flow.action }}_flow({{ flow.slug|literal }});
{%- endfor %}
{%- if made %}

  -- flowsmith's own engine makes what is new at once, from the plan; any other by these calls.
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

  -- What starts runs is that of each flow's current version from here on.
  perform flowsmith.sync_triggers(array[
    {%- for slug in triggers %}{{ slug|literal }}{% if not loop.last %}, {% endif %}{% endfor %}]);
{%- endif %}
end
{{ body_tag }};
