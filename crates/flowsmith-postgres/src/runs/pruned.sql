{#- Returns how many runs `prune.sql` deleted. -#}
select current_setting('flowsmith.pruned')::bigint as runs
