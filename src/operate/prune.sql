{#- Deletes some of the runs that ended longer ago than so many seconds; how many is kept for the next statements. -#}
select
from (
  select set_config('flowsmith.pruned', pgflow.prune_runs(make_interval(secs => {{ older_than }}), {% if slug is none %}null{% else %}{{ slug | literal }}{% endif %}, {{ batch }})::text, true) as runs
  offset 0
) call
where call.runs is null
