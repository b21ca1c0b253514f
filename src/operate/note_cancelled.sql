{#- Notes who cancels a run, and why, where it is under way. -#}
insert into flowsmith.events (kind, detail)
select 'run-cancelled', jsonb_build_object('run_id', r.run_id, 'flow_slug', r.flow_slug, 'reason', {% if reason is none %}null{% else %}{{ reason | literal }}::text{% endif %})
from pgflow.runs r where r.run_id = {{ run_id | literal }}::uuid and r.status = 'started'
