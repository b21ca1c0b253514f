-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: 5 differences  (flows/order.yaml)
--     step load: max_attempts inherited → 9
--     step load: base_delay inherited → 0 s
--     step load: timeout inherited → 3600 s
--     step load: start_delay none → 10 s
--     step charge: timeout 30 s → 45 s
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"ca40b64e676ce70deff85441a9245fe29accab1950eac0602e4baea7f486d00a","definition":{"flow":"order","version":1,"steps":[{"slug":"load","max_attempts":9,"base_delay":0,"timeout":3600,"start_delay":10},{"slug":"charge","depends_on":["load"],"timeout":45},{"slug":"mail","depends_on":["charge"]}],"annotations":{"description":"What happens once an order is paid"}}}
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
  update pgflow.steps set opt_max_attempts = 9, opt_base_delay = 0, opt_timeout = 3600, opt_start_delay = 10
    where flow_slug = 'order' and step_slug = 'load' and (opt_max_attempts, opt_base_delay, opt_timeout, opt_start_delay) is distinct from (9, 0, 3600, 10);
  update pgflow.steps set opt_timeout = 45
    where flow_slug = 'order' and step_slug = 'charge' and (opt_timeout) is distinct from (45);

  perform flowsmith.end_migration('20260103000000', 'change_order', plan);
end
$flowsmith$;
