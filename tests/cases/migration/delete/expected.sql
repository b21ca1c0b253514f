-- file: 20260103000000_delete_order.sql
-- flowsmith migration 20260103000000_delete_order
--
-- - order@1: deleted with its queue and its runs
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"drop","flow":"order","version":1}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'delete_order', plan) then
    return;  -- already applied
  end if;

  -- order@1
  perform flowsmith.drop_flow('order');

  perform flowsmith.end_migration('20260103000000', 'delete_order', plan);
end
$flowsmith$;
