{#- Returns the run that `call.sql` started or changed, and whether the call changed it: just before, the run may have ended,
    or another session may have made the same change. -#}
select summary.*,
  current_setting('flowsmith.has_changed')::boolean as has_changed
from (
  with chosen as (select nullif(current_setting('flowsmith.run_id', true), '')::uuid as run_id)
  {% include "run_summary.sql" %}
) summary
