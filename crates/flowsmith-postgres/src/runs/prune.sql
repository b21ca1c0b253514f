{#- Deletes a batch of the runs that ended more than `older_than` seconds ago. The setting flowsmith.pruned passes their number
    to the next statements. If `are_rare`, plain index scans are disabled: the engine would otherwise use the index on the
    end, whose order it needs, and scan all older runs of other flows again for each batch. -#}
{% if are_rare %}
set local enable_indexscan = off;
{% endif %}
select
from (
  select set_config('flowsmith.pruned', flowsmith.prune_runs(
    make_interval(secs => {{ older_than }}), {% if slug is none %}null{% else %}{{ slug | literal }}{% endif %}, {{ batch }})::text, true) as runs
  offset 0
) call
where call.runs is null
