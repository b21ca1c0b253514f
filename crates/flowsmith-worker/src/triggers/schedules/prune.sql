-- Forgets firings of more than 30 days ago, but for the newest of each schedule, which tells until when they are dealt with.
delete from flowsmith.firings f
where f.planned_at < now() - interval '30 days'
  and exists (select from flowsmith.firings n where n.flow = f.flow and n.name = f.name and n.planned_at > f.planned_at)
