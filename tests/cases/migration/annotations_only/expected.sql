-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: description, owner, labels, input schema, handlers, output schemas (recorded only)  (flows/order.yaml)
--
-- Requires engine level 0.7.2 or later. Apply it with `flowsmith apply`, `psql -1 -f` or `sqlx migrate run`. It runs in
-- one transaction; running it again has no effect. Written by `flowsmith compile`; do not edit it.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"ebab95a4834debc345cc9a7e6af957e29d887d777c955234886f3a1db8e90572","definition":{"flow":"order","version":1,"steps":[{"slug":"load"},{"slug":"charge","depends_on":["load"],"timeout":30},{"slug":"mail","depends_on":["charge"]}],"annotations":{"description":"What happens after payment","owner":"shop","labels":{"tier":"gold"},"input":{"required":["id"],"type":"object"},"handlers":{"load":{"sql":"select shop.load(:input)"}},"outputs":{"load":{"type":"object"}}}}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.begin_migration(text, text, jsonb)') is null then
    raise exception 'the schema flowsmith is not installed in this database' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'change_order', plan) then
    return;  -- already applied
  end if;

  perform flowsmith.end_migration('20260103000000', 'change_order', plan);
end
$flowsmith$;
