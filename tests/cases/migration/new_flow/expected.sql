-- file: 20260103000000_add_order.sql
-- flowsmith migration 20260103000000_add_order
--
-- + order@1: new flow, 5 steps  (flows/order.yaml)
--
-- Engine level 0.7.2 or later. Runs in one transaction and any number of times, by `flowsmith apply`,
-- `psql -1 -f` or `sqlx migrate run`; written by `flowsmith compile`, not to be edited.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"f9754bb8abea10ba4b96f5e09648ff8d8f41106e26260e316095b8e8efd2c879","definition":{"flow":"order","version":1,"options":{"max_attempts":5,"base_delay":1,"timeout":120},"steps":[{"slug":"load"},{"slug":"lines","kind":"map","depends_on":["load"],"max_attempts":1},{"slug":"parcels","kind":"map","depends_on":["lines"],"start_delay":60},{"slug":"charge","depends_on":["load"],"base_delay":10,"timeout":30},{"slug":"ship","depends_on":["charge","parcels"]}],"annotations":{"description":"What happens once an order is paid"}}}
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
