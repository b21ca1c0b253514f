-- file: 20260103000000_add_2_flows.sql
-- flowsmith migration 20260103000000_add_2_flows
--
-- ~ gone@1: current → retired
-- + new@1: new flow, 1 step  (flows/new.yaml)
-- ~ order@1: current → draining
-- + order@2: new version, 3 steps  (flows/order.yaml)
-- ~ replaced@1: step b added  (flows/replaced.yaml)
--     refused by the database if the flow has any runs
-- ~ tuned@1: step a: timeout inherited → 5 s  (flows/tuned.yaml)
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"state","flow":"gone","version":1,"state":"retired"},
{"do":"put","state":"current","digest":"5c6537b2b7ebea3cf85239bcd4cd0c9420c2ca123bf2b550391b09057db2353f","definition":{"flow":"new","version":1,"steps":[{"slug":"a"}]}},
{"do":"state","flow":"order","version":1,"state":"draining"},
{"do":"put","state":"current","digest":"3733405e7b81f2255ba7f6aa340a5c3530f97252784b71da0df3e15ad4a9111a","definition":{"flow":"order","version":2,"steps":[{"slug":"load"},{"slug":"charge","depends_on":["load"],"timeout":30},{"slug":"mail","depends_on":["charge"]}],"annotations":{"description":"What happens once an order is paid"}}},
{"do":"put","state":"current","digest":"80f8f2504d4a798b131515d8579a208106dde0b4ae52110e46a284637f3638f9","definition":{"flow":"replaced","version":1,"steps":[{"slug":"a"},{"slug":"b","depends_on":["a"]}]}},
{"do":"put","state":"current","digest":"e1d3e326bbd9b11a6b9ffb8a7bc81681bc2bc8e643185f46ed355f1420b0e82e","definition":{"flow":"tuned","version":1,"steps":[{"slug":"a","timeout":5}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'add_2_flows', plan) then
    return;  -- already applied
  end if;

  -- replaced@1
  perform flowsmith.reset_flow('replaced');

  -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
  if not flowsmith.create_flows(plan) then
    execute $calls$
      -- new@1
      select pgflow.create_flow(flow_slug => 'new');
      select pgflow.add_step(flow_slug => 'new', step_slug => 'a');
      -- order@2
      select pgflow.create_flow(flow_slug => 'order_v2');
      select pgflow.add_step(flow_slug => 'order_v2', step_slug => 'load');
      select pgflow.add_step(flow_slug => 'order_v2', step_slug => 'charge', deps_slugs => array['load'], timeout => 30);
      select pgflow.add_step(flow_slug => 'order_v2', step_slug => 'mail', deps_slugs => array['charge']);
      -- replaced@1
      select pgflow.create_flow(flow_slug => 'replaced');
      select pgflow.add_step(flow_slug => 'replaced', step_slug => 'a');
      select pgflow.add_step(flow_slug => 'replaced', step_slug => 'b', deps_slugs => array['a']);
    $calls$;
  end if;

  -- replaced@1
  update pgflow.flows set opt_max_attempts = 3, opt_base_delay = 5, opt_timeout = 60
    where flow_slug = 'replaced' and (opt_max_attempts, opt_base_delay, opt_timeout) is distinct from (3, 5, 60);

  -- tuned@1
  update pgflow.steps set opt_timeout = 5
    where flow_slug = 'tuned' and step_slug = 'a' and (opt_timeout) is distinct from (5);

  perform flowsmith.end_migration('20260103000000', 'add_2_flows', plan);
end
$flowsmith$;
