-- file: 20260103000000_delete_order_v1.sql
-- flowsmith migration 20260103000000_delete_order_v1
--
-- - order@1: deleted with its queue and its runs
--
-- Engine level 0.7.2 or later. Runs in one transaction and any number of times, by `flowsmith apply`,
-- `psql -1 -f` or `sqlx migrate run`; written by `flowsmith compile`, not to be edited.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"drop","flow":"order","version":1}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.create_flows(jsonb)') is null then
    raise exception 'the flowsmith schema is missing in this database, or too old' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'delete_order_v1', plan) then
    return;  -- applied already
  end if;

  -- order@1
  perform flowsmith.drop_flow('order');

  perform flowsmith.end_migration('20260103000000', 'delete_order_v1', plan);
end
$flowsmith$;
