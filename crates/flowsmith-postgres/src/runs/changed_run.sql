{#- Returns the run that `call.sql` started or changed, and whether this transaction changed it: just before, the run may have
    ended, or another session may have made the same change. -#}
select summary.*,
  (select r.xmin = pg_current_xact_id()::xid from pgflow.runs r where r.run_id = summary.run_id) as has_changed
from (
  with chosen as (select nullif(current_setting('flowsmith.run_id', true), '')::uuid as run_id)
  {% include "run_summary.sql" %}
) summary
