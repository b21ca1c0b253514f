{#- Reads up to `quantity` messages of a queue. -#}
select m.msg_id from pgmq.read({{ flow | literal }}, {{ visibility_timeout }}, {{ quantity }}) m
