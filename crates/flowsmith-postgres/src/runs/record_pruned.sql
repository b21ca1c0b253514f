{#- Records who deleted how many finished runs, in the transaction that deletes them. -#}
insert into flowsmith.events (kind, detail)
select 'runs-pruned', jsonb_build_object('older_than_seconds', {{ older_than }}, 'runs', pruned.runs,
  'flow_slugs', {% if slug is none %}null::text[]{% else %}array[{{ slug | literal }}]{% endif %})
from (select current_setting('flowsmith.pruned')::bigint as runs) pruned where pruned.runs > 0
