-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: 3 differences  (flows/order.yaml)
--     max_attempts 3 → 7
--     step charge: timeout 30 s → 45 s
--     step mail: depends_on charge → load
--     refused by the database if the flow has any runs
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"26df02768f42acb7bca4e64d8eed021b5aff93a802b4d3ef54a023e2d8142ed7","definition":{"flow":"order","version":1,"options":{"max_attempts":7},"steps":[{"slug":"load"},{"slug":"charge","depends_on":["load"],"timeout":45},{"slug":"mail","depends_on":["load"]}],"annotations":{"description":"What happens once an order is paid"}}}
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
  perform flowsmith.reset_flow('order');

  -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
  if not flowsmith.create_flows(plan) then
    execute $calls$
      -- order@1
      select pgflow.create_flow(flow_slug => 'order', max_attempts => 7);
      select pgflow.add_step(flow_slug => 'order', step_slug => 'load');
      select pgflow.add_step(flow_slug => 'order', step_slug => 'charge', deps_slugs => array['load'], timeout => 45);
      select pgflow.add_step(flow_slug => 'order', step_slug => 'mail', deps_slugs => array['load']);
    $calls$;
  end if;

  -- order@1
  update pgflow.flows set opt_max_attempts = 7, opt_base_delay = 5, opt_timeout = 60
    where flow_slug = 'order' and (opt_max_attempts, opt_base_delay, opt_timeout) is distinct from (7, 5, 60);

  perform flowsmith.end_migration('20260103000000', 'change_order', plan);
end
$flowsmith$;
