{#- The statements of a query: the files in `statements`, which return no rows, and the file `query`, whose rows are returned
    as JSON text. -#}
{#- Statistics may date from a time when few runs had ended, and then suggest sequential scans. -#}
set local enable_seqscan = off;
{%- for file in statements %}
{% include file %};
{%- endfor %}
{#- json and not jsonb, which would be rebuilt at every level. #}
select to_json(answer)::text as answer from (
{% include query %}
) answer
