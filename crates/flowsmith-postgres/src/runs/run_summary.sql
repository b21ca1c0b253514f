{#- Included: the columns of `RunSummary` for the runs in `chosen`. A failed run without a failed step was cancelled. -#}
{% set now = "clock_timestamp()" %}
select r.run_id, r.flow_slug as slug, r.flow_slug as flow, 1 as version,
  case when r.status = 'failed' and failed.failure is null then 'cancelled' else r.status end as status,
  r.started_at,
  coalesce(r.completed_at, r.failed_at) as ended_at,
  run_time.retried_at, run_time.seconds,
  r.remaining_steps, states.steps, failed.failure
from (select * from chosen offset 0) chosen_run
cross join lateral (select * from pgflow.runs run where run.run_id = chosen_run.run_id offset 0) r
{% include "run_time.sql" %}
cross join lateral (select count(*) as steps from pgflow.step_states s where s.run_id = chosen_run.run_id offset 0) states
left join lateral (
  select jsonb_build_object('step', s.step_slug, 'error', s.error_message) as failure
  from pgflow.step_states s
  where s.run_id = chosen_run.run_id and s.status = 'failed' and r.status = 'failed'
  order by s.failed_at limit 1) failed on true
