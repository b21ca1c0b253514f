{#- The run that `call.sql` has started or changed, as it is now, and whether this transaction has written it: in the moment
    before, it may have ended by itself, or somebody else may have done the same. -#}
select summary.*,
  (select r.xmin = pg_current_xact_id()::xid from pgflow.runs r where r.run_id = summary.run_id) as has_changed
from (
  with chosen as (select nullif(current_setting('flowsmith.run_id', true), '')::uuid as run_id)
  {% include "run_summary.sql" %}
) summary
