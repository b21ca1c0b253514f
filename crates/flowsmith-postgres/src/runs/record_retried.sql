{#- Records who retried a run, if this transaction retried it. -#}
insert into flowsmith.events (kind, detail)
select 'run-retried', jsonb_build_object('run_id', r.run_id, 'flow_slug', r.flow_slug)
from pgflow.runs r where r.run_id = {{ run_id | literal }}::uuid and r.xmin = pg_current_xact_id()::xid
