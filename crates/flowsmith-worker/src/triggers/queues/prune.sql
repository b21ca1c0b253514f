-- Deletes a batch of the records of events that were consumed more than 30 days ago: their PgQ batches are finished and their
-- messages archived. The batch is limited to keep the statement short.
delete from flowsmith.consumed_events consumed
where consumed.ctid = any (array(
  select old.ctid from flowsmith.consumed_events old where old.consumed_at < now() - interval '30 days' limit 100000))
