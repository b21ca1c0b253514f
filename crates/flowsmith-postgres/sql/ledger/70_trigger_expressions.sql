-- --- Expressions of triggers ------------------------------------------------------------------------------------------
--
-- Flow files contain SQL expressions: `when` and `input_sql`. Only a migration tries them, before it creates the trigger
-- that uses them. It tries them in a security definer function of the role that owns the trigger's function, in which
-- PostgreSQL refuses `set role` and `set session authorization`. An expression is
--
--   1. parsed, in which PostgreSQL runs the input functions of literals;
--   2. planned and started, up to the point at which the first row would be produced. By then PostgreSQL has checked the
--      privileges on all objects that the expression names. The expression sees rows whose values the planner does not
--      know, so that it cannot simplify the expression.
--
-- The message of an error is passed on only if it can name nothing but identifiers: SQLSTATE classes 3F and 42 while the
-- expression is parsed, and missing privileges. Any other message could contain data that the role can read.
--
-- Commands that look at a database compare names and catalogs only: see expression_differences.

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

-- Returns the body of the function that tries an expression. `key` is `when` or `input_sql`. An input expression must have
-- the type jsonb or one that can be cast to it; text is refused, because it need not contain JSON. The function returns the
-- reason why an expression is invalid, or null.
create or replace function flowsmith.trial_body() returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select $body$
declare
  statement constant text := format(
    case key when 'when' then e'select case when (\n%s\n) then 1 end from %s'
             else e'select (\n%s\n)::pg_catalog.jsonb from %s' end,
    expression, rows);
  is_parsed boolean := false;
  is_text boolean := false;
  plan jsonb;
begin
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
        return 'it has the type text: write `(...)::jsonb` if it always contains JSON, else `to_jsonb(...)`';
      end if;
    end;
  end if;
  is_parsed := true;
  execute statement || ' limit 0';
  if key = 'input_sql' then
    execute format(
      e'explain (format json) select from %2$s where (\n%1$s\n)::pg_catalog.jsonb is not null', expression, rows)
      into plan;
    if plan #>> '{0,Plan,One-Time Filter}' = 'false' then
      return 'it is always null, but a run needs an input';
    end if;
  end if;
  return null;
exception when others then
  if sqlstate = '42501' or left(sqlstate, 2) in ('3F', '42') and not is_parsed then
    return sqlerrm;
  end if;
  return format('SQLSTATE %s; the server''s message is not shown, because it could contain data', sqlstate);
end
$body$
$$;

-- Raises an error if an expression of a trigger is invalid for a role, which becomes the owner of the function that tries it.
create or replace function flowsmith.check_trigger_expressions(flow text, name text, definition jsonb, owner text)
returns void
language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as $$
declare
  trial constant text := 'flowsmith:trial';
  rows  constant text := flowsmith.expression_rows(definition);
  checked record;
  invalid text;
begin
  execute format(
    'create or replace function flowsmith_triggers.%I(key text, expression text, rows text) returns text
       language plpgsql security definer set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as %L',
    trial, flowsmith.trial_body());
  execute format('revoke all on function flowsmith_triggers.%I from public', trial);
  if owner <> current_user then
    execute format('alter function flowsmith_triggers.%I owner to %I', trial, owner);
  end if;
  for checked in
    select candidate.key, candidate.expression
    from (values ('when', definition #>> '{source,table,when}'), ('input_sql', flowsmith.input_expression(definition)))
      as candidate (key, expression)
    where candidate.expression is not null
  loop
    execute format('select flowsmith_triggers.%I($1, $2, $3)', trial) into invalid
      using checked.key, checked.expression, rows;
    if invalid is not null then
      raise exception 'flowsmith: trigger % of flow %: `%` fails: %', name, flow, checked.key, invalid
        using errcode = 'FL005', detail = checked.expression,
          hint = 'Qualify tables and functions outside pg_catalog with their schema. The expression runs with the privileges of the role '
            || quote_ident(owner) || '.';
    end if;
  end loop;
  execute format('drop function flowsmith_triggers.%I', trial);
end
$$;
