{#- Included: counts the running tasks by the column `by`. The conditions match a partial index that contains running tasks
    only. Tasks of failed runs can remain in it; nobody is running them any more. -#}
running_tasks as materialized (
  select started.{{ by }}, count(*) as tasks
  from (
    select t.{{ by }}, t.run_id from pgflow.step_tasks t
    where t.status = 'started' and t.started_at is not null
{% if engine.conditions %}
      and t.completed_at is null and t.failed_at is null and t.permanently_stalled_at is null
{% endif %}
    offset 0) started
  cross join lateral (select r.status from pgflow.runs r where r.run_id = started.run_id offset 0) run
  where run.status = 'started'
  group by started.{{ by }}
)
