-- file: 20260103000000_add_order_v2.sql
-- flowsmith migration 20260103000000_add_order_v2
--
-- ~ order@1: current → draining
-- + order@2: new version, 2 steps, 1 trigger  (flows/order.yaml)
--     trigger nightly: cron 0 2 * * *
--
-- Engine level 0.7.2 or later. Runs in one transaction and any number of times, by `flowsmith apply`,
-- `psql -1 -f` or `sqlx migrate run`; written by `flowsmith compile`, not to be edited.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"state","flow":"order","version":1,"state":"draining"},
{"do":"put","state":"current","digest":"cc1997aa6672c925637750e2b6fdf5655636e24989e4816c0c1cf5ce021dc707","definition":{"flow":"order","version":2,"steps":[{"slug":"load"},{"slug":"send","depends_on":["load"]}],"triggers":[{"name":"nightly","source":{"cron":{"schedule":"0 2 * * *","input":{}}}}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.sync_triggers(text[])') is null then
    raise exception 'the flowsmith schema is missing in this database, or too old' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'add_order_v2', plan) then
    return;  -- applied already
  end if;

  -- flowsmith's own engine makes what is new at once, from the plan; any other by these calls.
  if not flowsmith.create_flows(plan) then
    execute $calls$
      -- order@2
      select pgflow.create_flow(flow_slug => 'order_v2');
      select pgflow.add_step(flow_slug => 'order_v2', step_slug => 'load');
      select pgflow.add_step(flow_slug => 'order_v2', step_slug => 'send', deps_slugs => array['load']);
    $calls$;
  end if;

  perform flowsmith.end_migration('20260103000000', 'add_order_v2', plan);

  -- What starts runs is that of each flow's current version from here on.
  perform flowsmith.sync_triggers(array['order']);
end
$flowsmith$;
