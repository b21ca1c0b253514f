-- file: 20260103000000_add_order.sql
-- flowsmith migration 20260103000000_add_order
--
-- + order@1: new flow, 5 steps  (flows/order.yaml)
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"f9754bb8abea10ba4b96f5e09648ff8d8f41106e26260e316095b8e8efd2c879","definition":{"flow":"order","version":1,"options":{"max_attempts":5,"base_delay":1,"timeout":120},"steps":[{"slug":"load"},{"slug":"lines","kind":"map","depends_on":["load"],"max_attempts":1},{"slug":"parcels","kind":"map","depends_on":["lines"],"start_delay":60},{"slug":"charge","depends_on":["load"],"base_delay":10,"timeout":30},{"slug":"ship","depends_on":["charge","parcels"]}],"annotations":{"description":"What happens once an order is paid"}}}
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
      select pgflow.create_flow(flow_slug => 'order', max_attempts => 5, base_delay => 1, timeout => 120);
      select pgflow.add_step(flow_slug => 'order', step_slug => 'load');
      select pgflow.add_step(flow_slug => 'order', step_slug => 'lines', deps_slugs => array['load'], max_attempts => 1, step_type => 'map');
      select pgflow.add_step(flow_slug => 'order', step_slug => 'parcels', deps_slugs => array['lines'], start_delay => 60, step_type => 'map');
      select pgflow.add_step(flow_slug => 'order', step_slug => 'charge', deps_slugs => array['load'], base_delay => 10, timeout => 30);
      select pgflow.add_step(flow_slug => 'order', step_slug => 'ship', deps_slugs => array['charge', 'parcels']);
    $calls$;
  end if;

  perform flowsmith.end_migration('20260103000000', 'add_order', plan);
end
$flowsmith$;
