-- --- Definitions of triggers ------------------------------------------------------------------------------------------

-- Returns the triggers of the current versions of these flows, or of all flows if null. `in (select unnest(...))` is a
-- hashed lookup; `= any (flows)` would compare each flow with the whole array.
create or replace function flowsmith.expected_triggers(flows text[] default null)
returns table (flow text, name text, kind text, definition jsonb)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select v.flow, trigger.definition ->> 'name', source.kind, trigger.definition
  from flowsmith.flow_versions v
  cross join lateral jsonb_array_elements(
    case jsonb_typeof(v.definition -> 'triggers') when 'array' then v.definition -> 'triggers' else '[]' end) as trigger (definition)
  cross join lateral (
    select k.kind from unnest(array['cron', 'table', 'queue']) as k (kind) where trigger.definition -> 'source' ? k.kind limit 1) as source
  where v.state = 'current' and v.definition ? 'triggers' and (flows is null or v.flow in (select unnest(flows)))
    and trigger.definition ->> 'name' is not null
$$;

-- Returns the triggers that may start runs: those that a current version declares and that are registered with the same
-- definition. A row that was written into flowsmith.triggers by other means has no effect.
create or replace function flowsmith.active_triggers(flows text[] default null)
returns table (flow text, name text, kind text, definition jsonb, scheduled boolean, since timestamptz)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select expected.flow, expected.name, expected.kind, expected.definition, registered.scheduled, registered.since
  from flowsmith.expected_triggers(flows) expected
  join flowsmith.triggers registered using (flow, name)
  where registered.kind = expected.kind and registered.definition = expected.definition
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

-- Returns the expression of a trigger for the input of its runs; null if there is none.
create or replace function flowsmith.input_expression(definition jsonb) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select coalesce(definition #>> '{source,table,input,sql}', definition #>> '{source,queue,input_sql}')
$$;

-- Returns the body of a table trigger's function. `when` and `input_sql` are on separate lines in parentheses;
-- `flowsmith check` has verified that their parentheses are balanced. A column in the author's queries takes precedence
-- over a variable of this function.
create or replace function flowsmith.table_trigger_body(flow text, name text, definition jsonb) returns text
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
    case when options -> 'strict' is distinct from 'true' then format($handler$exception when others then
  raise warning 'flowsmith: trigger %s of flow %s could not start a run: %%', sqlerrm using errcode = sqlstate;
  begin
    perform flowsmith.record_trigger_failure(%L, %L, tg_relid, sqlstate, sqlerrm);
  exception when others then
    raise warning 'flowsmith: this failure could not be recorded: %%', sqlerrm;
  end;
  return null;
$handler$, name, flow, flow, name) else '' end)
  from (select definition #> '{source,table}') as source (options)
$$;

-- Returns the body of a queue trigger's function, which computes the input of a run from an event.
create or replace function flowsmith.queue_trigger_body(definition jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($body$
#variable_conflict use_column
begin
  return (select (
%s
  )::pg_catalog.jsonb from (select $1 as id, $2 as time, $3 as type, $4 as data) as event);
end
$body$, definition #>> '{source,queue,input_sql}')
$$;

-- Returns the value of pg_trigger.tgtype for an AFTER ... FOR EACH ROW trigger on the events in a definition.
create or replace function flowsmith.trigger_type(definition jsonb) returns int
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select 1 + coalesce(sum(event.bit) filter (where definition #> '{source,table,on}' ? event.name), 0)::int
  from (values ('insert', 4), ('delete', 8), ('update', 16)) as event (name, bit)
$$;

-- Returns the OID of a table by its qualified name, or null if it does not exist. Unlike to_regclass, it needs no
-- privileges on the schema. `flowsmith check` writes table names in this form.
create or replace function flowsmith.table_oid(table_name text) returns oid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.oid
  from (select case when table_name ~ '^([a-z_][a-z0-9_]*|"([^"]|"")+")[.]([a-z_][a-z0-9_]*|"([^"]|"")+")$'
                    then parse_ident(table_name) end) as parsed (parts)
  join pg_catalog.pg_namespace n on n.nspname = parsed.parts[1]::name
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = parsed.parts[2]::name
$$;
