{#-
  One run, in one round trip: the run, its steps with the sums of their tasks. src/live/run.rs reads the result sets.
  Fields: `run` (its id), `conditions` (the engine has the columns of level 0.14). Times are by the server's clock.
  A run that has failed without a failed step was cancelled; what it has left unfinished was cut off or not run.
-#}
select r.flow_slug,
  case when r.status = 'failed' and not exists (
    select from pgflow.step_states s where s.run_id = r.run_id and s.status = 'failed' offset 0) then 'cancelled'
  else r.status end as status,
  extract(epoch from coalesce(r.completed_at, r.failed_at, now()) - r.started_at)::float8 as seconds
from pgflow.runs r
where r.run_id = {{ run|literal }}::uuid;

select s.step_slug,
  case when r.status <> 'failed' or s.status not in ('created', 'started') then s.status
    when t.attempts > 0 then 'cut-off' else 'not-run' end as status,
  s.remaining_deps, s.initial_tasks,
  {% if conditions %}s.skip_reason{% else %}null::text{% endif %} as skip_reason,
  coalesce(s.error_message, t.error_message) as error_message,
  extract(epoch from coalesce(s.completed_at, s.failed_at, r.failed_at, now()) - s.started_at)::float8 as seconds,
  coalesce(t.queued, 0) as queued, coalesce(t.started, 0) as started, coalesce(t.completed, 0) as completed,
  coalesce(t.failed, 0) as failed, coalesce(t.attempts, 0) as attempts
from pgflow.step_states s
join pgflow.runs r on r.run_id = s.run_id
left join (
  select t.step_slug,
    count(*) filter (where t.status = 'queued') as queued, count(*) filter (where t.status = 'started') as started,
    count(*) filter (where t.status = 'completed') as completed, count(*) filter (where t.status = 'failed') as failed,
    max(t.attempts_count) as attempts,
    -- That of a task which failed for good says more than that of one which is tried again.
    (array_agg(t.error_message order by t.status <> 'failed', t.task_index)
      filter (where t.error_message is not null))[1] as error_message
  from pgflow.step_tasks t
  where t.run_id = {{ run|literal }}::uuid
  group by t.step_slug
) t on t.step_slug = s.step_slug
where s.run_id = {{ run|literal }}::uuid
order by s.step_slug collate "C";
