{#- Notes who has deleted how many runs. -#}
insert into flowsmith.events (kind, detail)
select 'runs-pruned', jsonb_build_object('older_than_seconds', {{ older_than }}, 'runs', {{ runs }},
  'flow_slugs', {% if slugs is none %}null::text[]{% else %}{{ slugs | texts }}{% endif %})
