-- file: 20260103000000_add_select.sql
-- flowsmith migration 20260103000000_add_select
--
-- + select@1: new flow, 3 steps  (flows/select.yaml)
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"5e15ed95e9778812c1f46d481fb3bfe6055719567f49747e85c71955dbb9dafa","definition":{"flow":"select","version":1,"steps":[{"slug":"table"},{"slug":"null","depends_on":["table"]},{"slug":"Order","kind":"map","depends_on":["null"]}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'add_select', plan) then
    return;  -- already applied
  end if;

  -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
  if not flowsmith.create_flows(plan) then
    execute $calls$
      -- select@1
      select pgflow.create_flow(flow_slug => 'select');
      select pgflow.add_step(flow_slug => 'select', step_slug => 'table');
      select pgflow.add_step(flow_slug => 'select', step_slug => 'null', deps_slugs => array['table']);
      select pgflow.add_step(flow_slug => 'select', step_slug => 'Order', deps_slugs => array['null'], step_type => 'map');
    $calls$;
  end if;

  perform flowsmith.end_migration('20260103000000', 'add_select', plan);
end
$flowsmith$;
