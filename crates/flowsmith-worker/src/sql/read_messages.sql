-- Reads up to :quantity messages, for engines without poll_tasks. They stay invisible for 30 seconds, or until start_tasks
-- extends that.
select m.msg_id from pgmq.read(:queue, 30, :quantity) m
