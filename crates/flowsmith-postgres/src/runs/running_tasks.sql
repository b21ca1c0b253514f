{#- Included: the tasks in workers' hands, counted by `by`. An index finds them that holds no others. Of failed runs, tasks
    may be left in it; they are in nobody's hands any more. -#}
running as materialized (
  select t.{{ by }}, count(*) as tasks
  from (
    select t.{{ by }}, t.run_id from pgflow.step_tasks t
    where t.status = 'started' and t.started_at is not null
{% if engine.conditions %}
      and t.completed_at is null and t.failed_at is null and t.permanently_stalled_at is null
{% endif %}
    offset 0) t
  cross join lateral (select r.status from pgflow.runs r where r.run_id = t.run_id offset 0) r
  where r.status = 'started'
  group by t.{{ by }}
)
