-- Checks the engine's invariants for the newest runs: at most 100 of those in the last 50 pages of the table. Returns one row with the number of checked runs and the first violations, or no row if the engine has no
-- such function. Writes nothing. The function is called in PL/pgSQL, which plans a statement when it is reached, because
-- it may not exist.

do $violations$
declare
  checked_runs bigint;
  descriptions text[];
begin
  if to_regprocedure('pgflow.violations(uuid)') is not null then
    select count(distinct r.run_id),
           (array_agg(format('%s: run %s%s, %s', violation.rule, r.run_id, ' step ' || violation.step_slug, violation.detail))
             filter (where violation.rule is not null))[1:10]
      into checked_runs, descriptions
    from (
      select r.run_id
      from pgflow.runs r
      where r.ctid >= format('(%s,0)', greatest(pg_relation_size('pgflow.runs') / current_setting('block_size')::int - 50, 0))::tid
      limit 100
    ) r
    left join lateral pgflow.violations(r.run_id) violation on true;
  end if;
  perform set_config('flowsmith.violations', jsonb_build_object('runs', checked_runs, 'descriptions', descriptions)::text, true);
end
$violations$;

select (result ->> 'runs')::bigint as runs,
       case when result -> 'descriptions' <> 'null' then
         array(select jsonb_array_elements_text(result -> 'descriptions')) end as descriptions
from (select current_setting('flowsmith.violations')::jsonb as result) checked
where result ->> 'runs' is not null;
