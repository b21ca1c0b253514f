-- What the newest runs have that no run should have, bounded: of the runs on the last 50 pages of the table, 100 at most,
-- for 5 seconds. Gives one row, how many runs were looked at and the first violations in words, or none where the engine
-- cannot tell. Writes nothing. The function may not exist, so that it is called from PL/pgSQL, which plans a statement when
-- it is reached; both statements must be sent together, as one transaction.

set transaction read only;
set local statement_timeout = '5s';

do $violations$
declare
  runs  bigint;
  words text[];
begin
  if to_regprocedure('pgflow.violations(uuid)') is not null then
    select count(distinct r.run_id),
           (array_agg(format('%s: run %s%s, %s', v.rule, r.run_id, ' step ' || v.step_slug, v.detail)) filter (where v.rule is not null))[1:10]
      into runs, words
    from (
      select r.run_id
      from pgflow.runs r
      where r.ctid >= format('(%s,0)', greatest(pg_relation_size('pgflow.runs') / current_setting('block_size')::int - 50, 0))::tid
      limit 100
    ) r
    left join lateral pgflow.violations(r.run_id) v on true;
  end if;
  perform set_config('flowsmith.violations', jsonb_build_object('runs', runs, 'words', words)::text, true);
end
$violations$;

select (found ->> 'runs')::bigint, case when found -> 'words' <> 'null' then array(select jsonb_array_elements_text(found -> 'words')) end
from (select current_setting('flowsmith.violations')::jsonb as found) f
where found ->> 'runs' is not null;
