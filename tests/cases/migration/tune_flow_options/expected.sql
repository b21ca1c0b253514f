-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: 2 differences  (flows/order.yaml)
--     max_attempts 3 → 7
--     timeout 60 s → 300 s
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"8f894150e4d90fd548283dee897a0f842b8a41e1b52e3adec7dff727acd295b0","definition":{"flow":"order","version":1,"options":{"max_attempts":7,"timeout":300},"steps":[{"slug":"load"},{"slug":"charge","depends_on":["load"],"timeout":30},{"slug":"mail","depends_on":["charge"]}],"annotations":{"description":"What happens once an order is paid"}}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'change_order', plan) then
    return;  -- already applied
  end if;

  -- order@1
  update pgflow.flows set opt_max_attempts = 7, opt_timeout = 300
    where flow_slug = 'order' and (opt_max_attempts, opt_timeout) is distinct from (7, 300);

  perform flowsmith.end_migration('20260103000000', 'change_order', plan);
end
$flowsmith$;
