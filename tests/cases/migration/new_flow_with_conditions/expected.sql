-- file: 20260103000000_add_order.sql
-- flowsmith migration 20260103000000_add_order
--
-- + order@1: new flow, 3 steps  (flows/order.yaml)
--
-- Engine level 0.14 or later. Runs in one transaction and any number of times, by `flowsmith apply`,
-- `psql -1 -f` or `sqlx migrate run`; written by `flowsmith compile`, not to be edited.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.14","entries":[
{"do":"put","state":"current","digest":"b50ecea40e042a26a0053099f403a77d1ac3642132245307c0841bf8d1fe74f0","definition":{"flow":"order","version":1,"steps":[{"slug":"load"},{"slug":"gift","depends_on":["load"],"required_input_pattern":{"load":{"gift":true}},"when_unmet":"skip-cascade"},{"slug":"vip","depends_on":["load"],"forbidden_input_pattern":{"load":{"plan":"free"}},"when_unmet":"fail","when_exhausted":"skip"}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.create_flows(jsonb)') is null then
    raise exception 'the flowsmith schema is missing in this database, or too old' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'add_order', plan) then
    return;  -- applied already
  end if;

  -- flowsmith's own engine makes what is new at once, from the plan; any other by these calls.
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
