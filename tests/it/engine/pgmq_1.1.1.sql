-- What stands at the beginning of pgmq's own upgrade scripts from 1.1.1 on, as far as they do not make it themselves:
-- 1.1.1 was a program, which is not to be had any more, and the scripts after it replace all of its functions.
create table pgmq.meta (
  queue_name     varchar unique not null,
  is_partitioned boolean not null,
  is_unlogged    boolean not null,
  created_at     timestamptz not null default now()
);
create type pgmq.message_record as (
  msg_id      bigint,
  read_ct     integer,
  enqueued_at timestamptz,
  vt          timestamptz,
  message     jsonb
);
create type pgmq.metrics_result as (
  queue_name         text,
  queue_length       bigint,
  newest_msg_age_sec integer,
  oldest_msg_age_sec integer,
  total_messages     bigint,
  scrape_time        timestamptz
);
