-- --- Definitions of triggers ------------------------------------------------------------------------------------------

-- Returns the triggers of the current versions of these flows, or of all flows if null. `in (select unnest(...))` is a
-- hashed lookup; `= any (flows)` would compare each flow with the whole array.
create or replace function flowsmith.expected_triggers(flows text[] default null)
returns table (flow text, name text, kind text, definition jsonb)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select v.flow, trigger.definition ->> 'name',
         (select source.kind from jsonb_object_keys(trigger.definition -> 'source') as source (kind) limit 1),
         trigger.definition
  from flowsmith.flow_versions v
  cross join lateral jsonb_array_elements(v.definition -> 'triggers') as trigger (definition)
  where v.state = 'current' and v.definition ? 'triggers' and (flows is null or v.flow in (select unnest(flows)))
$$;

-- Returns the name of a trigger's pg_cron job, table trigger and function: `flowsmith:<flow>:<trigger>`. If that is
-- longer than 63 bytes, it consists of the first 46 bytes, a colon and 16 digits of the MD5 hash.
create or replace function flowsmith.trigger_name(flow text, name text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when octet_length(long_name) <= 63 then long_name
              else left(long_name, 46) || ':' || left(md5(long_name), 16) end
  from (select 'flowsmith:' || flow || ':' || name) as names (long_name)
$$;

-- Returns the command of a trigger's pg_cron job.
create or replace function flowsmith.cron_job_command(flow text, name text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select format('select flowsmith.fire_schedule(%L, %L)', flow, name)
$$;

-- Returns the body of a table trigger's function. `when` and `input_sql` are on separate lines in parentheses;
-- `flowsmith check` has verified that their parentheses are balanced. A column in the author's queries takes precedence
-- over a variable of this function.
create or replace function flowsmith.trigger_function_body(flow text, name text, definition jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($body$
#variable_conflict use_column
begin
  if (
%s
  ) then
    perform flowsmith.fire_table_trigger(%L, %L, (
%s
    )::pg_catalog.jsonb);
  end if;
  return null;
%send
$body$,
    coalesce(options ->> 'when', 'true'), flow, name,
    coalesce(options #>> '{input,sql}', format('%L', options #> '{input,value}')),
    case when not coalesce((options -> 'strict')::boolean, false) then format($handler$exception when others then
  raise warning 'flowsmith: trigger %s of flow %s could not start a run: %%', sqlerrm using errcode = sqlstate;
  begin
    insert into flowsmith.events (kind, detail)
    values ('trigger-failed', pg_catalog.jsonb_build_object(
      'flow', %L, 'trigger', %L, 'table', tg_relid::pg_catalog.regclass::pg_catalog.text,
      'sqlstate', sqlstate, 'error', sqlerrm));
  exception when others then
    raise warning 'flowsmith: this failure could not be recorded: %%', sqlerrm;
  end;
  return null;
$handler$, name, flow, flow, name) else '' end)
  from (select definition #> '{source,table}') as source (options)
$$;

-- Returns the value of pg_trigger.tgtype for an AFTER ... FOR EACH ROW trigger on the events in a definition.
create or replace function flowsmith.trigger_type(definition jsonb) returns int
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select 1 + sum(case event.name when 'insert' then 4 when 'delete' then 8 when 'update' then 16 end)::int
  from jsonb_array_elements_text(definition #> '{source,table,on}') as event (name)
$$;

-- Returns the OID of a table by its qualified name, or null if it does not exist. Unlike to_regclass, it needs no
-- privileges on the schema.
create or replace function flowsmith.table_oid(table_name text) returns oid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.oid
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relname = (parse_ident(table_name))[2]::name and n.nspname = (parse_ident(table_name))[1]::name
$$;

