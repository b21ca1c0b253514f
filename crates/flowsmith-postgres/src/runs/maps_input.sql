{#- Whether a step of a flow version maps the input of the run. -#}
select exists (
  select from pgflow.steps s where s.flow_slug = {{ slug | literal }} and s.step_type = 'map' and s.deps_count = 0
) as maps_input
