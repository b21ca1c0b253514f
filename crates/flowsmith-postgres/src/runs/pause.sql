{#- Pauses or resumes flow versions, always in the same order to avoid deadlocks, and returns which of them changed. -#}
select flow.slug,
  {% if is_paused %}flowsmith.pause_flow(flow.slug){% else %}flowsmith.resume_flow(flow.slug){% endif %} as has_changed
from (select slug from unnest({{ slugs | array }}) given (slug) order by slug offset 0) flow
