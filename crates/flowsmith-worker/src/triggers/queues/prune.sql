-- Forgets events taken more than 30 days ago: their batches are finished, their messages archived. Some at a time, so that this
-- takes no longer than a call may.
delete from flowsmith.consumed_events t
where t.ctid = any (array(select o.ctid from flowsmith.consumed_events o where o.consumed_at < now() - interval '30 days' limit 100000))
