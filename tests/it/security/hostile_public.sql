-- Fills the schema public with probes that beat the objects of pg_catalog: functions, aggregates, operators, domains and
-- views. There are two kinds of each: overloads whose types fit a call better, which win under the default search_path, and
-- exact copies, which win if public comes first. A probe writes a line into the server's log, which a read-only transaction
-- can do and no rollback undoes. :words are the words in flowsmith's sources.

set search_path = pg_catalog;
set check_function_bodies = off;

create temp table substitution (map int, original regtype, type text);
insert into substitution values
  (1, 'text', 'name'), (1, 'anyelement', 'text'), (1, 'anynonarray', 'text'), (1, 'anyarray', 'text[]'), (1, 'bigint', 'integer'),
  (1, 'double precision', 'integer'), (1, 'numeric', 'integer'), (1, 'regclass', 'text'), (1, 'oid', 'regclass'),
  (1, 'anycompatible', 'text'), (1, 'anycompatiblearray', 'text[]'),
  (2, 'text', 'varchar'), (2, 'anyelement', 'jsonb'), (2, 'anynonarray', 'jsonb'), (2, 'anyarray', 'bigint[]'), (2, 'integer', 'bigint'),
  (2, 'oid', 'bigint'), (2, 'anycompatible', 'bigint'), (2, 'anycompatiblearray', 'bigint[]'),
  (3, 'anyelement', 'integer'), (3, 'anynonarray', 'bigint'), (3, 'anyarray', 'uuid[]'), (3, 'anycompatible', 'uuid'),
  (3, 'anycompatiblearray', 'uuid[]'), (3, 'regclass', 'oid'),
  (4, 'anyarray', 'oid[]'), (4, 'anyelement', 'bigint'), (5, 'anyarray', 'jsonb[]'), (5, 'anyelement', 'timestamptz');

do $hostile$
declare
  words   constant text[] := :words;
  hidden  constant oid[] := array(select t.oid from pg_type t where t.typname in ('internal', 'cstring', 'any', 'trigger', 'event_trigger',
    'language_handler', 'fdw_handler', 'index_am_handler', 'table_am_handler', 'tsm_handler'));
  body    constant text := 'begin raise log ''flowsmith_probe % %'', pg_catalog.current_database(), %L; %s end';
  routine record;
  number  int := 0;

  types   text[];
begin
  -- Exact copies of functions.
  for routine in
    select p.proname, pg_get_function_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result,
      p.proretset or p.proallargtypes is not null or p.prorettype = 'void'::regtype as returns_rows
    from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.proname = any (words)
      and not p.prorettype = any (hidden) and not p.proargtypes::oid[] && hidden
  loop
    begin
      execute format('create function public.%I(%s) returns %s language plpgsql as %L', routine.proname, routine.arguments, routine.result,
        replace(replace(body, '%L', quote_literal(format('%s(%s)', routine.proname, routine.arguments))), '%s', case when routine.returns_rows then 'return;' else 'return null;' end));
    exception when others then null;
    end;
  end loop;

  -- Overloads of functions; those with any number of arguments of any type get up to five texts.
  for routine in
    select p.proname, p.prorettype::regtype::text as result, array_agg(coalesce(s.type, argument.type::regtype::text) order by argument.position) as types
    from pg_proc p
    cross join (select distinct map from substitution) maps
    cross join unnest(p.proargtypes::oid[]) with ordinality argument (type, position)
    left join substitution s on s.map = maps.map and s.original = argument.type
    where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.proname = any (words) and not p.proretset
      and not p.prorettype = any (hidden) and not p.proargtypes::oid[] && hidden
    group by p.oid, p.proname, p.prorettype, maps.map
    having bool_or(s.type is not null)
    union
    select p.proname, p.prorettype::regtype::text, array_fill('text'::text, array[arity])
    from pg_proc p cross join generate_series(1, 5) arity
    where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.proname = any (words) and p.provariadic = '"any"'::regtype
  loop
    begin
      execute format('create function public.%I(%s) returns %s language plpgsql as %L', routine.proname, array_to_string(routine.types, ', '),
        case when routine.result like 'any%' then 'text' else routine.result end,
        replace(replace(body, '%L', quote_literal(format('%s(%s)', routine.proname, array_to_string(routine.types, ', ')))), '%s', 'return null;'));
    exception when others then null;
    end;
  end loop;

  -- Aggregates.
  for routine in
    select p.proname, case when p.prorettype::regtype::text like 'any%' then 'text' else p.prorettype::regtype::text end as result,
      coalesce(array_agg(coalesce(s.type, argument.type::regtype::text) order by argument.position) filter (where argument.type is not null), '{}') as types
    from pg_proc p
    cross join (select distinct map from substitution union select 0) maps
    left join unnest(p.proargtypes::oid[]) with ordinality argument (type, position) on true
    left join substitution s on s.map = maps.map and s.original = argument.type
    where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'a' and p.proname = any (words)
    group by p.oid, p.proname, p.prorettype, maps.map
  loop
    number := number + 1;
    begin
      execute format('create function public.probe_aggregate_%s(%s) returns %s language plpgsql as %L', number,
        array_to_string(routine.result || routine.types, ', '), routine.result,
        replace(replace(body, '%L', quote_literal(format('aggregate %s(%s)', routine.proname, array_to_string(routine.types, ', ')))), '%s', 'return $1;'));
      execute format('create aggregate public.%I(%s) (sfunc = public.probe_aggregate_%s, stype = %s)', routine.proname,
        case when routine.types = '{}' then '*' else array_to_string(routine.types, ', ') end, number, routine.result);
    exception when others then null;
    end;
  end loop;

  -- Operators: exact copies, and better ones for types that PostgreSQL converts.
  for routine in
    select o.oprname as name, o.oprleft::regtype::text as l, o.oprright::regtype::text as r, o.oprresult::regtype::text as result
    from pg_operator o
    where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprleft <> 0
      and array[o.oprleft, o.oprright]::regtype[] <@ '{text,name,"char",smallint,integer,bigint,oid,boolean,double precision,numeric,uuid,jsonb,json,timestamptz,interval,xid,xid8,tid}'::regtype[]
    union
    select o.name, pair.l, pair.r, case o.name when '||' then 'text' else 'boolean' end
    from unnest('{=,<>,<,>,||,~,~~,@>,<@,&&}'::text[]) o (name)
    cross join (values ('text[]', 'text[]'), ('name[]', 'name[]'), ('bigint[]', 'bigint[]'), ('oid[]', 'oid[]'), ('uuid[]', 'uuid[]'),
      ('varchar', 'varchar'), ('text', 'varchar'), ('varchar', 'text'), ('name', 'varchar'), ('oid', 'regclass'), ('regclass', 'oid'),
      ('regnamespace', 'oid'), ('oid', 'regnamespace'), ('oid', 'regtype'), ('text', 'integer'), ('text', 'bigint'), ('text', 'boolean'),
      ('text', 'oid'), ('text', 'uuid'), ('text', 'name'), ('text', 'numeric'), ('integer', 'text'), ('bigint', 'text')) pair (l, r)
  loop
    number := number + 1;
    begin
      execute format('create function public.probe_operator_%s(%s, %s) returns %s language plpgsql as %L', number, routine.l, routine.r, routine.result,
        replace(replace(body, '%L', quote_literal(format('operator %s %s %s', routine.l, routine.name, routine.r))), '%s', 'return null;'));
      execute format('create operator public.%s (function = public.probe_operator_%s, leftarg = %s, rightarg = %s)', routine.name, number, routine.l, routine.r);
    exception when others then null;
    end;
  end loop;

  -- Types.
  foreach types slice 1 in array array(select array[t.typname::text] from pg_type t
    where t.typnamespace = 'pg_catalog'::regnamespace and t.typtype = 'b' and t.typname = any (words) and t.typelem = 0)
  loop
    execute format('create function public.probe_type_%s(pg_catalog.%I) returns boolean language plpgsql as %L', types[1], types[1],
      replace(replace(body, '%L', quote_literal('type ' || types[1])), '%s', 'return true;'));
    execute format('create domain public.%I as pg_catalog.%I check (public.probe_type_%s(value))', types[1], types[1], types[1]);
  end loop;

  -- Catalogs.
  for routine in
    select c.relname from pg_class c
    where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind in ('r', 'v') and c.relname = any (words)
  loop
    execute format('create function public.probe_view_%s() returns boolean language plpgsql as %L', routine.relname,
      replace(replace(body, '%L', quote_literal('view ' || routine.relname)), '%s', 'return true;'));
    begin
      execute format('create view public.%I as select * from pg_catalog.%I where public.probe_view_%s()', routine.relname, routine.relname, routine.relname);
    exception when others then null;
    end;
  end loop;
end
$hostile$;
