-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: 3 differences  (flows/order.yaml)
--     trigger gone removed: queue pgmq:gone
--     trigger nightly: cron 0 2 * * * → cron 0 3 * * *
--     trigger worker: insert of pgflow.workers → delete of pgflow.workers; input {} → {"a":1}; strict false → true
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"4436807f63d8840b37c5a2c48db64a00f5da05ca698c450e0d540437d1b4b486","definition":{"flow":"order","version":1,"steps":[{"slug":"load"}],"triggers":[{"name":"nightly","source":{"cron":{"schedule":"0 3 * * *","input":{}}}},{"name":"same","source":{"cron":{"schedule":"@hourly","input":{}}}},{"name":"worker","source":{"table":{"table":"pgflow.workers","on":["delete"],"input":{"value":{"a":1}},"strict":true}}}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'change_order', plan) then
    return;  -- already applied
  end if;

  perform flowsmith.end_migration('20260103000000', 'change_order', plan);

  -- Create, change and drop triggers to match the current versions of these flows.
  perform flowsmith.sync_triggers(array['order']);
end
$flowsmith$;
