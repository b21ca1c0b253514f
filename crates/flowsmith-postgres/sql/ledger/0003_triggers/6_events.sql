
-- ─── What was done to a run ─────────────────────────────────────────────────────────────────────────────────────────

-- Who looks at a run looks here for why it was cancelled and when it was taken up again. With the id in it, nothing is
-- gained by going through all events backwards.
create index if not exists events_by_run on flowsmith.events ((detail ->> 'run_id'), id)
  where kind in ('run-cancelled', 'run-retried');
