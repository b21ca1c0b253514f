-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: 2 differences  (flows/order.yaml)
--     retired → current
--     step charge: timeout 30 s → 45 s
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"5e87f7b285f808c6534290beb8b18f3e379d8d4ce460012ffb405eca1c472bf5","definition":{"flow":"order","version":1,"steps":[{"slug":"load"},{"slug":"charge","depends_on":["load"],"timeout":45},{"slug":"mail","depends_on":["charge"]}],"annotations":{"description":"What happens once an order is paid"}}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'change_order', plan) then
    return;  -- already applied
  end if;

  -- order@1
  update pgflow.steps set opt_timeout = 45
    where flow_slug = 'order' and step_slug = 'charge' and (opt_timeout) is distinct from (45);

  perform flowsmith.end_migration('20260103000000', 'change_order', plan);
end
$flowsmith$;
