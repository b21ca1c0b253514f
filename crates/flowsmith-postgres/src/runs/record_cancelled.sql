{#- Records who cancelled a run, when and why, if this transaction cancelled it. -#}
insert into flowsmith.events (kind, detail)
select 'run-cancelled', jsonb_build_object(
  'run_id', r.run_id, 'flow_slug', r.flow_slug, 'failed_at', r.failed_at,
  'reason', {% if reason is none %}null{% else %}{{ reason | literal }}::text{% endif %})
from pgflow.runs r where r.run_id = {{ run_id | literal }}::uuid and r.xmin = pg_current_xact_id()::xid
