{#- Fields: `schema`, its name. -#}
-- Returns the objects of a schema as canonical lines, which are the same on PostgreSQL 14 to 18.
--
-- The line of a function contains its signature and the MD5 hash of its source with LF line ends. PostgreSQL stores an
-- SQL-standard body parsed; it is hashed as PostgreSQL prints it, apart from white space. Privileges of the owner are left
-- out.

with
schema as (
  select oid from pg_catalog.pg_namespace where nspname = {{ schema | literal }}
),
relation as (
  select c.oid, c.relname, c.relkind, c.relacl, c.relowner, c.reloptions,
         c.relrowsecurity or c.relforcerowsecurity as has_row_security
  from pg_catalog.pg_class c
  where c.relnamespace = (select oid from schema)
),
line as (
  select format('%s %s%s', case r.relkind when 'c' then 'type' when 'v' then 'view' else 'table' end, r.relname,
    ' with ' || array_to_string(r.reloptions, ', ')) as line
  from relation r
  where r.relkind in ('r', 'p', 'c', 'v')
  union all
  select format('column %s.%s %s %s%s%s', r.relname, to_char(row_number() over (partition by r.oid order by a.attnum), 'FM00'),
    a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' end,
    case when a.attidentity <> '' then ' generated as identity' else ' default ' || pg_get_expr(d.adbin, d.adrelid) end)
  from relation r
  join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  left join pg_catalog.pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
  where r.relkind in ('r', 'p', 'c')
  union all
  select format('constraint %s.%s %s', r.relname, c.conname, pg_get_constraintdef(c.oid))
  from relation r
  join pg_catalog.pg_constraint c on c.conrelid = r.oid and c.contype in ('c', 'f', 'p', 'u', 'x')
  union all
  select format('index %s %s', r.relname, pg_get_indexdef(r.oid))
  from relation r
  where r.relkind in ('i', 'I')
  union all
  select format('trigger %s.%s %s%s', r.relname, t.tgname, pg_get_triggerdef(t.oid),
    case t.tgenabled when 'O' then '' when 'D' then ' disabled' else ' enabled always or in replicas' end)
  from relation r
  join pg_catalog.pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
  union all
  select format('function %s(%s) returns %s, %s %s%s%s, %s', p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
    l.lanname, case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
    case when p.prosecdef then ' security definer' end, ' set ' || array_to_string(p.proconfig, ', '),
    case when p.prosqlbody is null then md5(replace(p.prosrc, E'\r\n', E'\n'))
      -- The install chooses one of the two input styles.
      else md5(regexp_replace(
        case p.proname when 'input_style' then replace(pg_get_function_sqlbody(p.oid), '''merged''', '''separate''')
          else pg_get_function_sqlbody(p.oid) end, E'\\s+', ' ', 'g')) end)
  from pg_catalog.pg_proc p
  join pg_catalog.pg_language l on l.oid = p.prolang
  where p.pronamespace = (select oid from schema)
  union all
  select format('rule %s.%s %s', r.relname, rule.rulename, pg_get_ruledef(rule.oid))
  from relation r
  join pg_catalog.pg_rewrite rule on rule.ev_class = r.oid and rule.rulename <> '_RETURN'
  union all
  select format('policy %s.%s', r.relname, policy.polname)
  from relation r
  join pg_catalog.pg_policy policy on policy.polrelid = r.oid
  union all
  select format('row security %s', r.relname)
  from relation r
  where r.has_row_security
  union all
  -- Rows of a child appear in its parent.
  select format('child %s.%s', r.relname, i.inhrelid::regclass)
  from relation r
  join pg_catalog.pg_inherits i on i.inhparent = r.oid
  where r.relkind in ('r', 'p')
  union all
  select format('owner of %s %s', object.name, object.owner::regrole)
  from (
    select r.relname::text as name, r.relowner as owner from relation r
    union all
    select format('%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid)), p.proowner
    from pg_catalog.pg_proc p where p.pronamespace = (select oid from schema)
    union all
    select t.typname, t.typowner from pg_catalog.pg_type t where t.typnamespace = (select oid from schema)
  ) object
  where object.owner <> (select n.nspowner from pg_catalog.pg_namespace n where n.oid = (select oid from schema))
  union all
  select format('grant %s on function %s to %s', a.privilege_type, p.proname, case when a.grantee = 0 then 'public' else a.grantee::regrole::text end)
  from pg_catalog.pg_proc p
  cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  where p.pronamespace = (select oid from schema) and a.grantee <> p.proowner
  union all
  select format('grant %s on %s to %s', a.privilege_type, r.relname, case when a.grantee = 0 then 'public' else a.grantee::regrole::text end)
  from relation r
  cross join lateral aclexplode(r.relacl) a
  where r.relkind in ('r', 'p', 'v') and a.grantee <> r.relowner
)
select line from line order by line collate "C"
