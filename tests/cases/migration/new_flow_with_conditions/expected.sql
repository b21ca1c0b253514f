-- file: 20260103000000_add_order.sql
-- flowsmith migration 20260103000000_add_order
--
-- + order@1: new flow, 3 steps  (flows/order.yaml)
--
-- Requires engine level 0.14 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.14","entries":[
{"do":"put","state":"current","digest":"b50ecea40e042a26a0053099f403a77d1ac3642132245307c0841bf8d1fe74f0","definition":{"flow":"order","version":1,"steps":[{"slug":"load"},{"slug":"gift","depends_on":["load"],"required_input_pattern":{"load":{"gift":true}},"when_unmet":"skip-cascade"},{"slug":"vip","depends_on":["load"],"forbidden_input_pattern":{"load":{"plan":"free"}},"when_unmet":"fail","when_exhausted":"skip"}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'add_order', plan) then
    return;  -- already applied
  end if;

  -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
  if not flowsmith.create_flows(plan) then
    execute $calls$
      -- order@1
      select pgflow.create_flow(flow_slug => 'order');
      select pgflow.add_step(flow_slug => 'order', step_slug => 'load');
      select pgflow.add_step(flow_slug => 'order', step_slug => 'gift', deps_slugs => array['load'], required_input_pattern => '{"load":{"gift":true}}', when_unmet => 'skip-cascade');
      select pgflow.add_step(flow_slug => 'order', step_slug => 'vip', deps_slugs => array['load'], forbidden_input_pattern => '{"load":{"plan":"free"}}', when_unmet => 'fail', when_exhausted => 'skip');
    $calls$;
  end if;

  perform flowsmith.end_migration('20260103000000', 'add_order', plan);
end
$flowsmith$;
