-- Stands in for Supabase's realtime.send: keeps what it is sent.
create schema if not exists realtime;
create table realtime.sent (id bigint generated always as identity primary key, payload jsonb, event text, topic text, private boolean);
create function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
language sql as $$ insert into realtime.sent (payload, event, topic, private) values ($1, $2, $3, $4) $$;
