{#- Deletes some of the runs that ended longer ago than so many seconds. -#}
select pgflow.prune_runs(make_interval(secs => {{ older_than }}), {% if slug is none %}null{% else %}{{ slug | literal }}{% endif %}, {{ batch }}) as runs
