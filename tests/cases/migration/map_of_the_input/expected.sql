-- file: 20260103000000_add_rows.sql
-- flowsmith migration 20260103000000_add_rows
--
-- + rows@1: new flow, 2 steps  (flows/rows.yaml)
--
-- Engine level 0.7.2 or later. Runs in one transaction and any number of times, by `flowsmith apply`,
-- `psql -1 -f` or `sqlx migrate run`; written by `flowsmith compile`, not to be edited.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"3dc488adaea733a350492f98f06d700292362e20a42ddc07db5dcf36b00c2b7d","definition":{"flow":"rows","version":1,"steps":[{"slug":"each","kind":"map"},{"slug":"sum","depends_on":["each"]}]}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.create_flows(jsonb)') is null then
    raise exception 'the flowsmith schema is missing in this database, or too old' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'add_rows', plan) then
    return;  -- applied already
  end if;

  -- flowsmith's own engine makes what is new at once, from the plan; any other by these calls.
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
