-- --- Expressions of triggers ------------------------------------------------------------------------------------------
--
-- Flow files contain SQL expressions: `when` and `input_sql`. They are validated before a trigger uses them:
--
--   with a role     with the privileges of that role, up to the point at which the first row would be produced. By then
--                   PostgreSQL has checked the privileges on all objects that the expression names. The expression sees
--                   rows whose values the planner does not know, so that it cannot simplify the expression.
--   without a role  parsed and planned only, with the caller's privileges. This runs no code of the expression, except
--                   that planning evaluates immutable functions. An expression with a semicolon is skipped, because a
--                   statement behind the semicolon would be executed. Missing privileges are not an error.

-- Returns the FROM clause that provides an expression of a trigger with `new`, `old` and `operation`, or with `event`;
-- null if the trigger's table does not exist.
create or replace function flowsmith.expression_rows(definition jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when definition -> 'source' ? 'table' then (
      -- By OID and the current name, in case the table is renamed meanwhile.
      select format($rows$pg_catalog.jsonb_populate_record(null::%1$s, '{}') as new, pg_catalog.jsonb_populate_record(null::%1$s, '{}') as old,
      (select null::pg_catalog.text offset 0) as operation (tg_op)$rows$, format('%I.%I', n.nspname, c.relname))
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.oid = flowsmith.table_oid(definition #>> '{source,table,table}'))
    else '(select null::int8 as id, null::timestamptz as time, null::text as type, null::jsonb as data offset 0) as event'
  end
$$;

-- Raises an error if an expression is invalid. `key` is `when` or `input_sql`. An input expression must have the type jsonb
-- or one that can be cast to it; text is refused, because it need not contain JSON.
create or replace function flowsmith.check_expression(key text, expression text, rows text, run_as text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as $$
declare
  role_before   constant text := current_setting('role');
  switches_role constant boolean := run_as <> current_user;
  statement     constant text := format(
    case key when 'when' then e'select case when (\n%s\n) then 1 end from %s'
             else e'select (\n%s\n)::pg_catalog.jsonb from %s' end,
    expression, rows);
  is_text boolean := false;
  plan jsonb;
begin
  -- If an error is raised, the caller's subtransaction restores the role. No function of flowsmith's is called meanwhile:
  -- the role need not have the privilege.
  if switches_role then
    perform set_config('role', run_as, true);
  end if;
  execute 'prepare flowsmith_trial as ' || statement;
  deallocate flowsmith_trial;
  if key = 'input_sql' then
    begin
      execute format(e'prepare flowsmith_trial as select coalesce((\n%s\n), null::pg_catalog.text) from %s', expression, rows);
      deallocate flowsmith_trial;
      is_text := true;
      -- A literal of unknown type is valid as either.
      execute format(e'prepare flowsmith_trial as select coalesce((\n%s\n), null::pg_catalog.jsonb) from %s', expression, rows);
      deallocate flowsmith_trial;
    exception when datatype_mismatch then
      if is_text then
        raise exception 'it has the type text: write `(...)::jsonb` if it always contains JSON, else `to_jsonb(...)`';
      end if;
    end;
  end if;
  if run_as is not null then
    execute statement || ' limit 0';
    if key = 'input_sql' then
      execute format(
        e'explain (format json) select from %2$s where (\n%1$s\n)::pg_catalog.jsonb is not null', expression, rows)
        into plan;
      if plan #>> '{0,Plan,One-Time Filter}' = 'false' then
        raise exception 'it is always null, but a run needs an input';
      end if;
    end if;
  end if;
  if switches_role then
    perform set_config('role', role_before, true);
  end if;
end
$$;

-- Returns the invalid expressions of a trigger and why they are invalid; see above for `run_as`.
create or replace function flowsmith.trigger_expression_errors(definition jsonb, run_as text default null)
returns table (error text, expression text)
language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as $$
declare
  source constant jsonb := definition -> 'source';
  rows   constant text := flowsmith.expression_rows(definition);
  checked record;
begin
  if rows is null then
    return;
  end if;
  for checked in
    select candidate.key, candidate.expression
    from (values
      ('when', source #>> '{table,when}'),
      ('input_sql', coalesce(source #>> '{table,input,sql}', source #>> '{queue,input_sql}'))) as candidate (key, expression)
    where candidate.expression is not null and (run_as is not null or position(';' in candidate.expression) = 0)
  loop
    begin
      perform flowsmith.check_expression(checked.key, checked.expression, rows, run_as);
    exception when others then
      if run_as is not null or sqlstate <> '42501' then
        error := format('`%s` fails: %s', checked.key, sqlerrm);
        expression := checked.expression;
        return next;
      end if;
    end;
  end loop;
end
$$;

-- Raises an error if an expression of a trigger is invalid for a role.
create or replace function flowsmith.check_trigger_expressions(flow text, name text, definition jsonb, run_as text)
returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  invalid record;
begin
  for invalid in select e.error, e.expression from flowsmith.trigger_expression_errors(definition, run_as) e loop
    raise exception 'flowsmith: trigger % of flow %: %', name, flow, invalid.error
      using errcode = 'FL005', detail = invalid.expression,
        hint = 'Qualify tables and functions outside pg_catalog with their schema. The expression runs with the privileges of the role '
          || quote_ident(run_as) || '.';
  end loop;
end
$$;

