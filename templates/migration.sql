{#-
  One migration. What the fields are: src/migration/render.rs.
  Every value goes through `literal` (SQL) or `comment`; `plan_tag` and `body_tag` occur in none of the values.
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
  if to_regprocedure('flowsmith.begin_migration(text,text,jsonb)') is null then
    raise exception 'the flowsmith schema is missing in this database' using hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration({{ version|literal }}, {{ name|literal }}, plan) then
    return;
  end if;
{%- for flow in flows %}

  -- {{ flow.id }}: {{ flow.title }}
{%- if flow.action == "drop" %}
  perform flowsmith.drop_flow({{ flow.slug|literal }});
{%- elif flow.action == "tune" %}
{%- include "tune" %}
{%- else %}
{%- if flow.action == "replace" %}
  perform flowsmith.reset_flow({{ flow.slug|literal }});
{%- endif %}
  perform pgflow.create_flow(flow_slug => {{ flow.slug|literal }}
    {%- for option in flow.options %}, {{ option.name }} => {{ option.value }}{% endfor %});
{%- if flow.action == "replace" %}
{%- include "tune" %}
{%- endif %}
{%- for step in flow.steps %}
  perform pgflow.add_step(flow_slug => {{ flow.slug|literal }}, step_slug => {{ step.slug|literal }}
    {%- if step.depends_on %}, deps_slugs => array[
      {%- for slug in step.depends_on %}{{ slug|literal }}{% if not loop.last %}, {% endif %}{% endfor %}]
    {%- endif %}
    {%- for option in step.options %}, {{ option.name }} => {{ option.value }}{% endfor %});
{%- endfor %}
{%- endif %}
{%- endfor %}

  perform flowsmith.end_migration({{ version|literal }}, {{ name|literal }}, plan);
end
{{ body_tag }};
