-- ─── What is meant ──────────────────────────────────────────────────────────────────────────────────────────────────

-- The triggers of the current versions of these flows; null = of all.
create or replace function flowsmith.meant_triggers(flows text[] default null)
returns table (flow text, name text, kind text, definition jsonb)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select v.flow, d.value ->> 'name', (select k.kind from jsonb_object_keys(d.value -> 'source') as k (kind) limit 1), d.value
  from flowsmith.flow_versions v
  cross join lateral jsonb_array_elements(v.definition -> 'triggers') as d
  where v.state = 'current' and v.definition ? 'triggers' and (flows is null or v.flow = any (flows))
$$;

-- What a trigger's job, its trigger on the table and its function are called: `flowsmith:<flow>:<trigger>`, and where that is
-- longer than the 63 bytes of a name, its first 46, a colon and 16 digits of its MD5. pg_cron 1.4 has such names for jobs.
create or replace function flowsmith.trigger_name(flow text, name text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when octet_length(j.name) <= 63 then j.name else left(j.name, 46) || ':' || left(md5(j.name), 16) end
  from (select 'flowsmith:' || flow || ':' || name) as j (name)
$$;

-- What pg_cron runs.
create or replace function flowsmith.job_command(flow text, name text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select format('select flowsmith.fire_schedule(%L, %L)', flow, name)
$$;

-- The body of a table trigger's function. `when` and `input_sql` stand on lines of their own, in parentheses that a check
-- of the file has shown they do not leave. A column of the author's own queries wins over a variable of this function.
create or replace function flowsmith.trigger_body(flow text, name text, definition jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($body$
#variable_conflict use_column
begin
  if (
%s
  ) then
    perform flowsmith.fire_row(%L, %L, (
%s
    )::pg_catalog.jsonb);
  end if;
  return null;
%send
$body$,
    coalesce(t ->> 'when', 'true'), flow, name, coalesce(t #>> '{input,sql}', format('%L', t #> '{input,value}')),
    case when not coalesce((t -> 'strict')::boolean, false) then format($handler$exception when others then
  raise warning 'flowsmith: trigger %s of flow %s started no run: %%', sqlerrm using errcode = sqlstate;
  begin
    insert into flowsmith.events (kind, detail)
    values ('trigger-failed', pg_catalog.jsonb_build_object('flow', %L, 'trigger', %L, 'table', tg_relid::pg_catalog.regclass::pg_catalog.text, 'sqlstate', sqlstate, 'error', sqlerrm));
  exception when others then
    raise warning 'flowsmith: which could not be recorded: %%', sqlerrm;
  end;
  return null;
$handler$, name, flow, flow, name) else '' end)
  from (select definition #> '{source,table}') as d (t)
$$;

-- pg_trigger.tgtype of an AFTER ... FOR EACH ROW trigger on these changes.
create or replace function flowsmith.trigger_type(definition jsonb) returns int
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select 1 + sum(case e.event when 'insert' then 4 when 'delete' then 8 when 'update' then 16 end)::int
  from jsonb_array_elements_text(definition #> '{source,table,on}') as e (event)
$$;

-- The table that a name means; null where there is none, or the role may not use its schema.
create or replace function flowsmith.table_oid(table_name text) returns oid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.oid
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relname = (parse_ident(table_name))[2]::name and n.nspname = (parse_ident(table_name))[1]::name
$$;
