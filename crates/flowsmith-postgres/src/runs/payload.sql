{#- Included: the expression of a `Payload` of the expression `value`. `payloads`: whether it is requested. `cut`: the maximum
    number of characters, none = all. -#}
{%- if not payloads -%}
null
{%- elif cut is none -%}
case when {{ value }} is not null then json_build_object('whole', {{ value }}) end
{%- else -%}
case when {{ value }} is not null then json_build_object('part', json_build_object(
  'text', left(({{ value }})::text, {{ cut }}), 'bytes', octet_length(({{ value }})::text))) end
{%- endif -%}
