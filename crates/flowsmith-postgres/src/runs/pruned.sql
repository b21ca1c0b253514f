{#- How many runs `prune.sql` has deleted. -#}
select current_setting('flowsmith.pruned')::bigint as runs
