{#- Included: counts the live workers of queues (`queues`, none = all), and returns the state of the worker that was heard
    from last, and how long ago that was. -#}
select count(*) filter (where w.deprecated_at is null {% if engine.conditions %}and w.stopped_at is null{% endif %}
    and w.last_heartbeat_at > clock.now - make_interval(secs => {{ silent_after }})) as workers,
  {{ seconds("max(heard.at)", "clock.now") }} as heartbeat_seconds,
  (array_agg(case {% if engine.conditions %}when w.stopped_at is not null then 'stopped' {% endif %}when w.deprecated_at is not null then 'deprecated'
    when w.worker_id is not null then 'silent' end order by heard.at desc nulls last))[1] as last_worker
from clock
left join pgflow.workers w on {% if queues is none %}true{% else %}w.queue_name = any ({{ queues | array }}){% endif %}
cross join lateral (select greatest(w.last_heartbeat_at{% if engine.conditions %}, w.stopped_at{% endif %}) as at) heard
group by clock.now
