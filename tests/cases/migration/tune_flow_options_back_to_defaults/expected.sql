-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: 3 differences  (flows/order.yaml)
--     max_attempts 7 → 3
--     base_delay 9 s → 5 s
--     timeout 300 s → 60 s
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"1cbc99df7b3c19795ace62425d5c6c7d4148e503b706d89fc2cc8955eb201506","definition":{"flow":"order","version":1,"steps":[{"slug":"load"},{"slug":"charge","depends_on":["load"],"timeout":30},{"slug":"mail","depends_on":["charge"]}],"annotations":{"description":"What happens once an order is paid"}}}
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
  update pgflow.flows set opt_max_attempts = 3, opt_base_delay = 5, opt_timeout = 60
    where flow_slug = 'order' and (opt_max_attempts, opt_base_delay, opt_timeout) is distinct from (3, 5, 60);

  perform flowsmith.end_migration('20260103000000', 'change_order', plan);
end
$flowsmith$;
