-- file: 20260103000000_retire_order.sql
-- flowsmith migration 20260103000000_retire_order
--
-- ~ order@1: current → retired
--
-- Engine level 0.7.2 or later. Runs in one transaction and any number of times, by `flowsmith apply`,
-- `psql -1 -f` or `sqlx migrate run`; written by `flowsmith compile`, not to be edited.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"state","flow":"order","version":1,"state":"retired"}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.sync_triggers(text[])') is null then
    raise exception 'the flowsmith schema is missing in this database, or too old' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'retire_order', plan) then
    return;  -- applied already
  end if;

  perform flowsmith.end_migration('20260103000000', 'retire_order', plan);

  -- What starts runs is that of each flow's current version from here on.
  perform flowsmith.sync_triggers(array['order']);
end
$flowsmith$;
