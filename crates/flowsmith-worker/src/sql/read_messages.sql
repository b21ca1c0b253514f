-- Reads up to :quantity messages, for engines without poll_tasks. They stay invisible for 30 s, until start_tasks sets the
-- visibility timeout of the step.
select m.msg_id from pgmq.read(:queue, 30, :quantity) m
