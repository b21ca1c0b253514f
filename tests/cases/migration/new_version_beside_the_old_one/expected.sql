-- file: 20260103000000_add_order_v2.sql
-- flowsmith migration 20260103000000_add_order_v2
--
-- ~ order@1: current → draining  (flows/order.yaml)
-- + order@2: new version, 1 step  (flows/order_v2.yaml)
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"state","flow":"order","version":1,"state":"draining"},
{"do":"put","state":"current","digest":"58c062cafc35a40522018b2c3a0bd8cbc0fdbd008525d5ec6c5bcf50479756df","definition":{"flow":"order","version":2,"steps":[{"slug":"load"}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'add_order_v2', plan) then
    return;  -- already applied
  end if;

  -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
  if not flowsmith.create_flows(plan) then
    execute $calls$
      -- order@2
      select pgflow.create_flow(flow_slug => 'order_v2');
      select pgflow.add_step(flow_slug => 'order_v2', step_slug => 'load');
    $calls$;
  end if;

  perform flowsmith.end_migration('20260103000000', 'add_order_v2', plan);
end
$flowsmith$;
