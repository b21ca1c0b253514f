-- file: 20260103000000_change_hostile.sql
-- flowsmith migration 20260103000000_change_hostile
--
-- ~ hostile@1: 2 differences  (flows/hostile.yaml)
--     step load: if {"a\"b":["\\","\u001f","%s %I"],"it's":"$calls$ \\' || (select 1) || '"} → {"a\"b":["\\","\u001f","%s %I"],"it''s\\":"$calls$ \\' || (select 1) || '"}
--     description (recorded only)
--     refused by the database if the flow has any runs
--
-- Requires engine level 0.14 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith1$
declare
  plan constant jsonb := $plan1$
{"format":1,"engine":"0.14","entries":[
{"do":"put","state":"current","digest":"5af39fe68d94b9cb915dbad5a27f73d8a6713d8c08a038dd382c59ea1dcb5c36","definition":{"flow":"hostile","version":1,"steps":[{"slug":"load","required_input_pattern":{"a\"b":["\\","\u001f","%s %I"],"it''s\\":"$calls$ \\' || (select 1) || '"}}],"annotations":{"description":"'; drop table pgflow.flows; -- $plan$ $flowsmith$ $calls$ \\ \"   end;","owner":"$plan$;\n$flowsmith$;\n-- ","labels":{"team":"E'\\\\'' ''' {{ plan }} {% endif %} 漢字"},"handlers":{"load":{"sql":"select 1; -- ' $$ $calls1$"}}}}}
]}
$plan1$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'change_hostile', plan) then
    return;  -- already applied
  end if;

  -- hostile@1
  perform flowsmith.reset_flow('hostile');

  -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
  if not flowsmith.create_flows(plan) then
    execute $calls2$
      -- hostile@1
      select pgflow.create_flow(flow_slug => 'hostile');
      select pgflow.add_step(flow_slug => 'hostile', step_slug => 'load', required_input_pattern => E'{"a\\"b":["\\\\","\\u001f","%s %I"],"it''''s\\\\":"$calls$ \\\\'' || (select 1) || ''"}');
    $calls2$;
  end if;

  -- hostile@1
  update pgflow.flows set opt_max_attempts = 3, opt_base_delay = 5, opt_timeout = 60
    where flow_slug = 'hostile' and (opt_max_attempts, opt_base_delay, opt_timeout) is distinct from (3, 5, 60);

  perform flowsmith.end_migration('20260103000000', 'change_hostile', plan);
end
$flowsmith1$;
