-- Deletes firings that are older than 30 days, except the newest of each schedule: it marks up to which time firings have
-- been processed.
delete from flowsmith.firings firing
where firing.planned_at < now() - interval '30 days'
  and exists (
    select from flowsmith.firings newer
    where newer.flow = firing.flow and newer.name = firing.name and newer.planned_at > firing.planned_at)
