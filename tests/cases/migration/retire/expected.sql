-- file: 20260103000000_retire_order.sql
-- flowsmith migration 20260103000000_retire_order
--
-- ~ order@1: current → retired
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"state","flow":"order","version":1,"state":"retired"}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'retire_order', plan) then
    return;  -- already applied
  end if;

  perform flowsmith.end_migration('20260103000000', 'retire_order', plan);
end
$flowsmith$;
