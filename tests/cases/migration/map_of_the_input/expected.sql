-- file: 20260103000000_add_rows.sql
-- flowsmith migration 20260103000000_add_rows
--
-- + rows@1: new flow, 2 steps  (flows/rows.yaml)
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"3dc488adaea733a350492f98f06d700292362e20a42ddc07db5dcf36b00c2b7d","definition":{"flow":"rows","version":1,"steps":[{"slug":"each","kind":"map"},{"slug":"sum","depends_on":["each"]}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'add_rows', plan) then
    return;  -- already applied
  end if;

  -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
  if not flowsmith.create_flows(plan) then
    execute $calls$
      -- rows@1
      select pgflow.create_flow(flow_slug => 'rows');
      select pgflow.add_step(flow_slug => 'rows', step_slug => 'each', step_type => 'map');
      select pgflow.add_step(flow_slug => 'rows', step_slug => 'sum', deps_slugs => array['each']);
    $calls$;
  end if;

  perform flowsmith.end_migration('20260103000000', 'add_rows', plan);
end
$flowsmith$;
