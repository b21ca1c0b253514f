-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: 5 differences  (flows/order.yaml)
--     step load: max_attempts 9 → inherited
--     step load: base_delay 0 s → inherited
--     step load: timeout 3600 s → inherited
--     step load: start_delay 10 s → none
--     step charge: timeout 30 s → inherited
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"67d138723a05a8ef224d1bb72c6a273d326286461bde36610b7a9a4a5ccb3600","definition":{"flow":"order","version":1,"steps":[{"slug":"load"},{"slug":"charge","depends_on":["load"]},{"slug":"mail","depends_on":["charge"]}],"annotations":{"description":"What happens once an order is paid"}}}
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
  update pgflow.steps set opt_max_attempts = null::int, opt_base_delay = null::int, opt_timeout = null::int, opt_start_delay = null::int
    where flow_slug = 'order' and step_slug = 'load' and (opt_max_attempts, opt_base_delay, opt_timeout, opt_start_delay) is distinct from (null::int, null::int, null::int, null::int);
  update pgflow.steps set opt_timeout = null::int
    where flow_slug = 'order' and step_slug = 'charge' and (opt_timeout) is distinct from (null::int);

  perform flowsmith.end_migration('20260103000000', 'change_order', plan);
end
$flowsmith$;
