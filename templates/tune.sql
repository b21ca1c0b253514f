{#- Options changed online: `pgflow.create_flow` and `pgflow.add_step` never update what is there. -#}
{%- for update in flow.tuned %}
  update {{ update.table }} set {% for option in update.set -%}
      {{ option.name }} = {{ option.value }}{% if not loop.last %}, {% endif %}{% endfor %}
    where flow_slug = {{ flow.slug|literal }}
    {%- if update.step is not none %} and step_slug = {{ update.step|literal }}{% endif %} and (
    {%- for option in update.set %}{{ option.name }}{% if not loop.last %}, {% endif %}{% endfor %}) is distinct from (
    {%- for option in update.set %}{{ option.value }}{% if not loop.last %}, {% endif %}{% endfor %});
{%- endfor %}
