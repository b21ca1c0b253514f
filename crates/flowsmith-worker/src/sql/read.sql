-- Reads up to so many messages, for engines without poll_tasks. They stay hidden until start_tasks hides them for longer.
select m.msg_id from pgmq.read(:queue, 30, :quantity) m
