-- file: 20260103000000_add_hostile.sql
-- flowsmith migration 20260103000000_add_hostile
--
-- + hostile@1: new flow, 1 step  (flows/it's $plan$ -- x.yaml)
--
-- Requires engine level 0.14 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith1$
declare
  plan constant jsonb := $plan1$
{"format":1,"engine":"0.14","entries":[
{"do":"put","state":"current","digest":"e1bd26a7ca01eebd801e70bb70f2aa90b018016dcf18a647deb314be135c6ac3","definition":{"flow":"hostile","version":1,"steps":[{"slug":"load","required_input_pattern":{"a\"b":["\\","\u001f","%s %I"],"it's":"$calls$ \\' || (select 1) || '"}}],"annotations":{"description":"'; drop table pgflow.flows; -- $plan$ $flowsmith$ $calls$ \\ \"   end;","owner":"$plan$;\n$flowsmith$;\n-- ","labels":{"team":"E'\\\\'' ''' {{ plan }} {% endif %} 漢字"},"handlers":{"load":{"sql":"select 1; -- ' $$ $calls1$"}}}}}
]}
$plan1$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'add_hostile', plan) then
    return;  -- already applied
  end if;

  -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
  if not flowsmith.create_flows(plan) then
    execute $calls2$
      -- hostile@1
      select pgflow.create_flow(flow_slug => 'hostile');
      select pgflow.add_step(flow_slug => 'hostile', step_slug => 'load', required_input_pattern => E'{"a\\"b":["\\\\","\\u001f","%s %I"],"it''s":"$calls$ \\\\'' || (select 1) || ''"}');
    $calls2$;
  end if;

  perform flowsmith.end_migration('20260103000000', 'add_hostile', plan);
end
$flowsmith1$;
