-- Opens a cursor on the events of the batch $1.
select from pgq.get_batch_cursor($1, 'flowsmith_batch', 0)
