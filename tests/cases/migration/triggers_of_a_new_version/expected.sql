-- file: 20260103000000_add_order_v2.sql
-- flowsmith migration 20260103000000_add_order_v2
--
-- ~ order@1: current → draining
-- + order@2: new version, 2 steps, 1 trigger  (flows/order.yaml)
--     trigger nightly: cron 0 2 * * *
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"state","flow":"order","version":1,"state":"draining"},
{"do":"put","state":"current","digest":"cc1997aa6672c925637750e2b6fdf5655636e24989e4816c0c1cf5ce021dc707","definition":{"flow":"order","version":2,"steps":[{"slug":"load"},{"slug":"send","depends_on":["load"]}],"triggers":[{"name":"nightly","source":{"cron":{"schedule":"0 2 * * *","input":{}}}}]}}
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
      select pgflow.add_step(flow_slug => 'order_v2', step_slug => 'send', deps_slugs => array['load']);
    $calls$;
  end if;

  perform flowsmith.end_migration('20260103000000', 'add_order_v2', plan);

  -- Create, change and drop triggers to match the current versions of these flows.
  perform flowsmith.sync_triggers(array['order']);
end
$flowsmith$;
