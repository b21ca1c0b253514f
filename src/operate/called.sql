{#- The run that `call.sql` has started or changed, as it is now, and what it was before. -#}
select summary.*, nullif(current_setting('flowsmith.run_was', true), '') as was
from (
  with chosen as (select nullif(current_setting('flowsmith.run_id', true), '')::uuid as run_id)
  {% include "run_summary.sql" %}
) summary
