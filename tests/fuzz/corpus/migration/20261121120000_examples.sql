-- flowsmith migration 20261121120000_examples
--
-- + catalog_etl@1: new flow, 7 steps, 1 trigger  (flows/catalog_etl.yaml)
--     trigger nightly: cron 0 2 * * *
-- + invoice_reminders@1: new flow, 5 steps, 1 trigger  (flows/invoice_reminders.toml)
--     trigger workdays: cron 30 7 * * mon-fri
-- + order_fulfilment@2: new version, 7 steps, 1 trigger  (flows/order_fulfilment.yaml)
--     trigger imported: queue pgq:order_imports
-- + signup@1: new flow, 2 steps  (flows/signup.yaml)
-- + signup@2: new version, 3 steps, 1 trigger  (flows/signup.yaml)
--     trigger sweep: queue pgq:account_sync
--
-- Requires engine level 0.14 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.14","entries":[
{"do":"put","state":"current","digest":"3fddb4873a9b467ebe1a7ae74a772ee6170023bfb92e0f5f03ab62843cbe76a7","definition":{"flow":"catalog_etl","version":1,"options":{"base_delay":10,"timeout":900},"steps":[{"slug":"download","kind":"map","max_attempts":6,"when_exhausted":"skip"},{"slug":"parse","kind":"map","depends_on":["download"]},{"slug":"merge","depends_on":["parse"]},{"slug":"quality","depends_on":["merge"],"forbidden_input_pattern":{"merge":{"rows":0}},"when_unmet":"fail"},{"slug":"publish","depends_on":["quality"]},{"slug":"warm_cache","depends_on":["publish"],"when_exhausted":"skip-cascade"},{"slug":"announce","depends_on":["warm_cache"]}],"annotations":{"description":"Loads the suppliers' catalogues; the run's input is the list of files","owner":"data","labels":{"domain":"catalogue","kind":"etl"},"input":{"items":{"type":"string"},"type":"array"},"handlers":{"announce":{"http":"https://chat.example.com/hooks/catalogue"},"download":{"exec":["catalog","download"]},"merge":{"sql":"select catalog.merge(:input)"},"parse":{"exec":["catalog","parse"]},"publish":{"sql":"select catalog.publish(:input)"},"quality":{"sql":"select catalog.assert_quality(:input)"},"warm_cache":{"http":"https://shop.example.com/internal/warm"}},"outputs":{"merge":{"type":"object"}}},"triggers":[{"name":"nightly","source":{"cron":{"schedule":"0 2 * * *","input":["acme.csv","globex.csv","initech.csv"]}}}]}},
{"do":"put","state":"current","digest":"d421cf4dfda0514b7f088e826a80f880bb8171b4e52811cedbc24b49608dbe72","definition":{"flow":"invoice_reminders","version":1,"options":{"max_attempts":5,"base_delay":30},"steps":[{"slug":"overdue"},{"slug":"remind","kind":"map","depends_on":["overdue"],"timeout":120},{"slug":"report","depends_on":["overdue","remind"],"when_exhausted":"skip"},{"slug":"hand_over","depends_on":["report"],"start_delay":604800,"required_input_pattern":{"report":{"unanswered":true}},"when_unmet":"skip-cascade"},{"slug":"archive","depends_on":["hand_over"]}],"annotations":{"description":"Reminds customers of unpaid invoices, and hands the case over when reminding does not help","owner":"billing","labels":{"domain":"billing"},"input":{"properties":{"as_of_days":{"minimum":1,"type":"integer"}},"required":["as_of_days"],"type":"object"},"handlers":{"archive":{"sql":"select billing.archive(:input)"},"hand_over":{"exec":["billing-cases","open","--from-stdin"]},"overdue":{"sql":"select billing.overdue(:input)"},"remind":{"http":"https://mail.example.com/reminders"},"report":{"sql":"select billing.report_reminders(:input)"}},"outputs":{"overdue":{"type":"array"}}},"triggers":[{"name":"workdays","source":{"cron":{"schedule":"30 7 * * mon-fri","input":{"as_of_days":14}}}}]}},
{"do":"put","state":"current","digest":"65ae9d487b7b6347f3fcc48bb433c895acce1eea235c7cd2e1ef3f608dcf9cc5","definition":{"flow":"order_fulfilment","version":2,"options":{"max_attempts":4,"base_delay":2,"timeout":90},"steps":[{"slug":"load"},{"slug":"perks","required_input_pattern":{"plan":"premium"},"forbidden_input_pattern":{"source":"import"}},{"slug":"items","depends_on":["load"]},{"slug":"reserve","kind":"map","depends_on":["items"],"max_attempts":6},{"slug":"review","depends_on":["load"],"timeout":600,"required_input_pattern":{"load":{"flagged":true}}},{"slug":"ship","depends_on":["reserve","review"]},{"slug":"survey","depends_on":["ship"],"start_delay":259200,"when_exhausted":"skip"}],"annotations":{"description":"Charge, reserve and ship one order","owner":"payments","labels":{"domain":"shop","tier":"critical"},"input":{"properties":{"order_id":{"minimum":1,"type":"integer"},"plan":{"enum":["basic","premium"]},"source":{"type":"string"}},"required":["order_id","plan"],"type":"object"},"handlers":{"items":{"sql":"select :input->'load'->'items'"},"load":{"sql":"select shop.load_order(:input)"},"perks":{"sql":"select shop.add_gift(:input)"},"reserve":{"http":"https://stock.example.com/reserve"},"review":{"exec":["python3","-m","shop.review"]},"ship":{"http":"https://carrier.example.com/shipments"},"survey":{"exec":"python3 -m shop.survey --send"}},"outputs":{"items":{"items":{"type":"object"},"type":"array"},"load":{"properties":{"flagged":{"type":"boolean"},"items":{"type":"array"}},"required":["items","flagged"],"type":"object"}}},"triggers":[{"name":"imported","source":{"queue":{"kind":"pgq","queue":"order_imports","input_sql":"event.data || '{\"source\": \"import\"}'"}}}]}},
{"do":"put","state":"draining","digest":"34935a9ee32da2fcb59831d9835f11428a980a2d648cad1e9f2704d6ee1010e6","definition":{"flow":"signup","version":1,"steps":[{"slug":"verify_address"},{"slug":"welcome","depends_on":["verify_address"]}],"annotations":{"description":"Welcomes a new account","owner":"growth"}}},
{"do":"put","state":"current","digest":"6ecdefc943d13cbcf255270b355170be66351e014cf37795f228fa6966fb97f4","definition":{"flow":"signup","version":2,"steps":[{"slug":"verify_address","max_attempts":1,"timeout":30},{"slug":"welcome","depends_on":["verify_address"]},{"slug":"follow_up","depends_on":["verify_address","welcome"],"start_delay":604800,"required_input_pattern":{"verify_address":{"verified":true}}}],"annotations":{"description":"Welcomes a new account, and follows up after a week","owner":"growth","input":{"required":["account_id"],"type":"object"}},"triggers":[{"name":"sweep","description":"Accounts that another system made","source":{"queue":{"kind":"pgq","queue":"account_sync"}}}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20261121120000', 'examples', plan) then
    return;  -- already applied
  end if;

  -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
  if not flowsmith.create_flows(plan) then
    execute $calls$
      -- catalog_etl@1
      select pgflow.create_flow(flow_slug => 'catalog_etl', base_delay => 10, timeout => 900);
      select pgflow.add_step(flow_slug => 'catalog_etl', step_slug => 'download', max_attempts => 6, step_type => 'map', when_exhausted => 'skip');
      select pgflow.add_step(flow_slug => 'catalog_etl', step_slug => 'parse', deps_slugs => array['download'], step_type => 'map');
      select pgflow.add_step(flow_slug => 'catalog_etl', step_slug => 'merge', deps_slugs => array['parse']);
      select pgflow.add_step(flow_slug => 'catalog_etl', step_slug => 'quality', deps_slugs => array['merge'], forbidden_input_pattern => '{"merge":{"rows":0}}', when_unmet => 'fail');
      select pgflow.add_step(flow_slug => 'catalog_etl', step_slug => 'publish', deps_slugs => array['quality']);
      select pgflow.add_step(flow_slug => 'catalog_etl', step_slug => 'warm_cache', deps_slugs => array['publish'], when_exhausted => 'skip-cascade');
      select pgflow.add_step(flow_slug => 'catalog_etl', step_slug => 'announce', deps_slugs => array['warm_cache']);
      -- invoice_reminders@1
      select pgflow.create_flow(flow_slug => 'invoice_reminders', max_attempts => 5, base_delay => 30);
      select pgflow.add_step(flow_slug => 'invoice_reminders', step_slug => 'overdue');
      select pgflow.add_step(flow_slug => 'invoice_reminders', step_slug => 'remind', deps_slugs => array['overdue'], timeout => 120, step_type => 'map');
      select pgflow.add_step(flow_slug => 'invoice_reminders', step_slug => 'report', deps_slugs => array['overdue', 'remind'], when_exhausted => 'skip');
      select pgflow.add_step(flow_slug => 'invoice_reminders', step_slug => 'hand_over', deps_slugs => array['report'], start_delay => 604800, required_input_pattern => '{"report":{"unanswered":true}}', when_unmet => 'skip-cascade');
      select pgflow.add_step(flow_slug => 'invoice_reminders', step_slug => 'archive', deps_slugs => array['hand_over']);
      -- order_fulfilment@2
      select pgflow.create_flow(flow_slug => 'order_fulfilment_v2', max_attempts => 4, base_delay => 2, timeout => 90);
      select pgflow.add_step(flow_slug => 'order_fulfilment_v2', step_slug => 'load');
      select pgflow.add_step(flow_slug => 'order_fulfilment_v2', step_slug => 'perks', required_input_pattern => '{"plan":"premium"}', forbidden_input_pattern => '{"source":"import"}');
      select pgflow.add_step(flow_slug => 'order_fulfilment_v2', step_slug => 'items', deps_slugs => array['load']);
      select pgflow.add_step(flow_slug => 'order_fulfilment_v2', step_slug => 'reserve', deps_slugs => array['items'], max_attempts => 6, step_type => 'map');
      select pgflow.add_step(flow_slug => 'order_fulfilment_v2', step_slug => 'review', deps_slugs => array['load'], timeout => 600, required_input_pattern => '{"load":{"flagged":true}}');
      select pgflow.add_step(flow_slug => 'order_fulfilment_v2', step_slug => 'ship', deps_slugs => array['reserve', 'review']);
      select pgflow.add_step(flow_slug => 'order_fulfilment_v2', step_slug => 'survey', deps_slugs => array['ship'], start_delay => 259200, when_exhausted => 'skip');
      -- signup@1
      select pgflow.create_flow(flow_slug => 'signup');
      select pgflow.add_step(flow_slug => 'signup', step_slug => 'verify_address');
      select pgflow.add_step(flow_slug => 'signup', step_slug => 'welcome', deps_slugs => array['verify_address']);
      -- signup@2
      select pgflow.create_flow(flow_slug => 'signup_v2');
      select pgflow.add_step(flow_slug => 'signup_v2', step_slug => 'verify_address', max_attempts => 1, timeout => 30);
      select pgflow.add_step(flow_slug => 'signup_v2', step_slug => 'welcome', deps_slugs => array['verify_address']);
      select pgflow.add_step(flow_slug => 'signup_v2', step_slug => 'follow_up', deps_slugs => array['verify_address', 'welcome'], start_delay => 604800, required_input_pattern => '{"verify_address":{"verified":true}}');
    $calls$;
  end if;

  perform flowsmith.end_migration('20261121120000', 'examples', plan);

  -- Create, change and drop triggers to match the current versions of these flows.
  perform flowsmith.sync_triggers(array['catalog_etl', 'invoice_reminders', 'order_fulfilment', 'signup']);
end
$flowsmith$;
