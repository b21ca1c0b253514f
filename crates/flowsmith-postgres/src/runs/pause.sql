{#- Pauses flow versions or lets them go, always in the same order, and says which have changed. -#}
select s.slug, {% if is_paused %}pgflow.pause_flow(s.slug){% else %}pgflow.resume_flow(s.slug){% endif %} as has_changed
from (select slug from unnest({{ slugs | array }}) u (slug) order by slug offset 0) s
