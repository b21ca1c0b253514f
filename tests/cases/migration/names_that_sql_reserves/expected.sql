-- file: 20260103000000_add_select.sql
-- flowsmith migration 20260103000000_add_select
--
-- + select@1: new flow, 3 steps  (flows/select.yaml)
--
-- Engine level 0.7.2 or later. Runs in one transaction and any number of times, by `flowsmith apply`,
-- `psql -1 -f` or `sqlx migrate run`; written by `flowsmith compile`, not to be edited.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"5e15ed95e9778812c1f46d481fb3bfe6055719567f49747e85c71955dbb9dafa","definition":{"flow":"select","version":1,"steps":[{"slug":"table"},{"slug":"null","depends_on":["table"]},{"slug":"Order","kind":"map","depends_on":["null"]}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.create_flows(jsonb)') is null then
    raise exception 'the flowsmith schema is missing in this database, or too old' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'add_select', plan) then
    return;  -- applied already
  end if;

  -- flowsmith's own engine makes what is new at once, from the plan; any other by these calls.
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
