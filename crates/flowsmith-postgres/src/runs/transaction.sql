{#- The message of a query: a transaction with the files in `statements`, which return no rows, and the file `query`, whose
    rows are returned as JSON text. `is_read_only`: take a read-only snapshot. `statement_timeout`: milliseconds, none = the
    setting of the session. -#}
begin{% if is_read_only %} isolation level repeatable read, read only{% endif %};
{%- if statement_timeout is not none %}
set local statement_timeout = {{ statement_timeout }};
{%- endif %}
set local timezone = 'UTC';
{#- Compiling these plans takes longer than executing them. #}
set local jit = off;
{#- Statistics may date from a time when few runs had ended, and then suggest sequential scans. #}
set local enable_seqscan = off;
{%- for file in statements %}
{% include file %};
{%- endfor %}
{#- json and not jsonb, which would be rebuilt at every level. #}
select to_json(answer)::text as answer from (
{% include query %}
) answer;
commit;
