-- file: 20260103000000_change_order.sql
-- flowsmith migration 20260103000000_change_order
--
-- ~ order@1: description, owner, labels, input schema, handlers, output schemas (recorded only)  (flows/order.yaml)
--
-- Engine level 0.7.2 or later. Runs in one transaction and any number of times, by `flowsmith apply`,
-- `psql -1 -f` or `sqlx migrate run`; written by `flowsmith compile`, not to be edited.
do $flowsmith$
declare
  plan constant jsonb := $plan$
{"format":1,"engine":"0.7.2","entries":[
{"do":"put","state":"current","digest":"ebab95a4834debc345cc9a7e6af957e29d887d777c955234886f3a1db8e90572","definition":{"flow":"order","version":1,"steps":[{"slug":"load"},{"slug":"charge","depends_on":["load"],"timeout":30},{"slug":"mail","depends_on":["charge"]}],"annotations":{"description":"What happens after payment","owner":"shop","labels":{"tier":"gold"},"input":{"required":["id"],"type":"object"},"handlers":{"load":{"sql":"select shop.load(:input)"}},"outputs":{"load":{"type":"object"}}}}}
]}
$plan$;
begin
  if to_regprocedure('flowsmith.create_flows(jsonb)') is null then
    raise exception 'the flowsmith schema is missing in this database, or too old' using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  if not flowsmith.begin_migration('20260103000000', 'change_order', plan) then
    return;  -- applied already
  end if;

  perform flowsmith.end_migration('20260103000000', 'change_order', plan);
end
$flowsmith$;
