{#- Records who pauses or resumes flow versions, for those whose state this changes. -#}
insert into flowsmith.events (kind, detail)
select {% if is_paused %}'flow-paused'{% else %}'flow-resumed'{% endif %}, jsonb_build_object('flow_slug', flow.slug)
from unnest({{ slugs | array }}) flow (slug)
where {% if is_paused %}not {% endif %}exists (select from pgflow.paused_flows p where p.flow_slug = flow.slug)
