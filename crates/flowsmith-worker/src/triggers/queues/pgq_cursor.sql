-- Opens a batch, $1, of which events are then fetched.
select from pgq.get_batch_cursor($1, 'flowsmith_batch', 0)
