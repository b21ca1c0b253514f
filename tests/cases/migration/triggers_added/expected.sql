-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: 4 differences  (flows/order.yaml)
--     trigger imported added: queue pgq:imports
--     trigger mailed added: queue pgmq:mails
--     trigger nightly added: cron 0 2 * * *
--     trigger worker added: insert, update of pgflow.workers
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"ba474843ab930599680bd086d7ad90bddf3ad8645b7f9c3968909b429f9102a3","definition":{"flow":"order","version":1,"steps":[{"slug":"load"}],"triggers":[{"name":"imported","source":{"queue":{"kind":"pgq","queue":"imports","input_sql":"event.data || '{\"source\": \"import\"}'"}}},{"name":"mailed","source":{"queue":{"kind":"pgmq","queue":"mails"}}},{"name":"nightly","description":"What came in during the day","source":{"cron":{"schedule":"0 2 * * *","input":{"source":"nightly"}}}},{"name":"worker","source":{"table":{"table":"pgflow.workers","on":["insert","update"],"when":"new.function_name = 'it''s' -- never","input":{"sql":"jsonb_build_object('worker', new.worker_id)"}}}}]}}
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
