{#- Records who pauses or resumes flow versions, for those whose state this changes. Returns no row. -#}
select
from (select flowsmith.record_pause({{ slugs | array }}, {{ is_paused }}) is null as recorded offset 0) call
where call.recorded is null
