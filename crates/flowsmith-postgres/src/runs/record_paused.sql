{#- Notes who pauses flow versions or lets them go, for those that this changes. -#}
insert into flowsmith.events (kind, detail)
select {% if is_paused %}'flow-paused'{% else %}'flow-resumed'{% endif %}, jsonb_build_object('flow_slug', s.slug)
from unnest({{ slugs | array }}) s (slug)
where {% if is_paused %}not {% endif %}exists (select from pgflow.paused_flows p where p.flow_slug = s.slug)
