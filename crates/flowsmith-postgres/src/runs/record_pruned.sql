{#- Notes who has deleted how many runs, in the transaction that deletes them. -#}
insert into flowsmith.events (kind, detail)
select 'runs-pruned', jsonb_build_object('older_than_seconds', {{ older_than }}, 'runs', p.runs,
  'flow_slugs', {% if slug is none %}null::text[]{% else %}array[{{ slug | literal }}]{% endif %})
from (select current_setting('flowsmith.pruned')::bigint as runs) p where p.runs > 0
