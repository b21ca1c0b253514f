{#- Deletes some of the runs that ended longer ago than so many seconds; how many is kept for the next statements. `are_rare`: the engine
    would go through all older runs of other flows again for each batch, by the index of ends, whose order it wants. Without
    plain index scans it reads the flow's own. -#}
{% if are_rare %}
set local enable_indexscan = off;
{% endif %}
select
from (
  select set_config('flowsmith.pruned', pgflow.prune_runs(make_interval(secs => {{ older_than }}), {% if slug is none %}null{% else %}{{ slug | literal }}{% endif %}, {{ batch }})::text, true) as runs
  offset 0
) call
where call.runs is null
