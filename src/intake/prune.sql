-- Forgets events taken more than 30 days ago: their batches are finished, their messages archived.
delete from flowsmith.taken t where t.taken_at < now() - interval '30 days'
