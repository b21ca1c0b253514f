-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: 3 differences  (flows/order.yaml)
--     trigger gone removed: queue pgmq:gone
--     trigger nightly: cron 0 2 * * * → cron 0 3 * * *
--     trigger worker: insert of pgflow.workers → delete of pgflow.workers; input {} → {"a":1}; strict false → true
--
-- Engine level 0.7.2 or later. Runs in one transaction and any number of times, by `flowsmith apply`,
-- `psql -1 -f` or `sqlx migrate run`; written by `flowsmith compile`, not to be edited.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"4436807f63d8840b37c5a2c48db64a00f5da05ca698c450e0d540437d1b4b486","definition":{"flow":"order","version":1,"steps":[{"slug":"load"}],"triggers":[{"name":"nightly","source":{"cron":{"schedule":"0 3 * * *","input":{}}}},{"name":"same","source":{"cron":{"schedule":"@hourly","input":{}}}},{"name":"worker","source":{"table":{"table":"pgflow.workers","on":["delete"],"input":{"value":{"a":1}},"strict":true}}}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.sync_triggers(text[])') is null then
    raise exception 'the flowsmith schema is missing in this database, or too old' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'change_order', plan) then
    return;  -- applied already
  end if;

  perform flowsmith.end_migration('20260103000000', 'change_order', plan);

  -- What starts runs is that of each flow's current version from here on.
  perform flowsmith.sync_triggers(array['order']);
end
$flowsmith$;
