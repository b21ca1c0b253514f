{#- A notification to whoever listens on a channel. -#}
select pg_notify({{ probe | literal }}, '') is not null as sent
