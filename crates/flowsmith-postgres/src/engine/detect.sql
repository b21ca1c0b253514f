-- Reads everything that detection and audits need to know about a database, in one round trip. Writes nothing.
--
-- Returns one row with one JSON text; values that this role cannot read are null. Tables that may not exist are read in
-- PL/pgSQL, which plans a statement when it is reached. The block passes its results to the query in a setting that is
-- local to the transaction. Both statements must be sent together, as one transaction.

do $detect$
declare
  recorded jsonb;
  ledger   integer;
  pgmq_sql text;
  style    text;
  job      boolean;
begin
  if to_regclass('flowsmith.engine') is not null then
    select jsonb_agg(jsonb_build_object('version', e.version, 'checksum', e.checksum) order by e.version) into recorded from flowsmith.engine e;
  end if;
  if has_schema_privilege((select n.oid from pg_catalog.pg_namespace n where n.nspname = 'pgmq'), 'usage')
     and has_table_privilege(to_regclass('pgmq.__pgmq_migrations'), 'select') then
    select m.version into pgmq_sql from pgmq.__pgmq_migrations m order by string_to_array(m.version, '.')::int[] desc limit 1;
  end if;
  -- Not called, because another role could have created it.
  style := (
    select case when pg_catalog.pg_get_function_sqlbody(p.oid) like '%merged%' then 'merged' else 'separate' end
    from pg_catalog.pg_proc p
    where p.oid = to_regprocedure('pgflow.input_style()') and has_function_privilege(p.oid, 'execute'));
  if has_table_privilege(to_regclass('flowsmith.ledger'), 'select') then
    ledger := (select max(l.version) from flowsmith.ledger l);
  end if;
  -- A row policy shows each role its own jobs only. A table `cron.job` that is not part of pg_cron could run code of its owner.
  if exists (
    select from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    join pg_catalog.pg_extension e on d.refclassid = 'pg_extension'::regclass and e.oid = d.refobjid
    where e.extname = 'pg_cron' and n.nspname = 'cron' and c.relname = 'job'
      and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')) then
    job := exists (
      select from cron.job j
      where j.jobname = 'pgflow_requeue_stalled_tasks' and j.database = current_database() and j.active);
  end if;
  perform set_config('flowsmith.detected', jsonb_build_object(
    'recorded', recorded, 'ledger', ledger, 'pgmq_sql', pgmq_sql, 'input_style', style, 'cron_job', job)::text, true);
end
$detect$;

with
detected as (
  select current_setting('flowsmith.detected')::jsonb as found
),
-- Types of pg_catalog by their SQL name, all others with their schema, independent of the caller's search_path.
type_name as (
  select t.oid, case when n.nspname = 'pg_catalog' then format_type(t.oid, null) else n.nspname || '.' || t.typname end as name
  from pg_catalog.pg_type t
  join pg_catalog.pg_namespace n on n.oid = t.typnamespace
),
relation as (
  select c.oid, c.relname
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'pgflow' and c.relkind in ('r', 'p', 'c')
),
routine as (
  select p.*
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where n.nspname = 'pgflow'
),
fact as (
  select format('column %s.%s %s', r.relname, a.attname, t.name) as fact
  from relation r
  join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  join type_name t on t.oid = a.atttypid
  union all
  select format('function %s(%s)', p.proname, (
    select string_agg(concat_ws(' ', p.proargnames[argument.position], t.name), ', ' order by argument.position)
    from unnest(p.proargtypes::oid[]) with ordinality as argument (type, position)
    join type_name t on t.oid = argument.type))
  from routine p
  union all
  select format('result %s %s', p.proname,
    case when 't' = any (p.proargmodes) then format('table(%s)', (
      select string_agg(concat_ws(' ', p.proargnames[argument.position], t.name), ', ' order by argument.position)
      from unnest(p.proallargtypes) with ordinality as argument (type, position)
      join type_name t on t.oid = argument.type
      where p.proargmodes[argument.position] = 't'))
    else concat_ws(' ', case when p.proretset then 'setof' end, (select t.name from type_name t where t.oid = p.prorettype)) end)
  from routine p
)
select jsonb_build_object(
  'server', current_setting('server_version_num')::int,
  'standby', pg_is_in_recovery(),
  'facts', (select coalesce(jsonb_agg(f.fact order by f.fact), '[]') from fact f),
  'public_functions', (
    select coalesce(jsonb_agg(distinct p.proname), '[]')
    from routine p
    cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    where a.grantee = 0 and a.privilege_type = 'EXECUTE'),
  'recorded', d.found -> 'recorded',
  'ledger', d.found -> 'ledger',
  'input_style', d.found -> 'input_style',
  'pgmq_extension', (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pgmq'),
  -- to_regprocedure and to_regclass raise an error for a role without privileges on the schema.
  'pgmq_functions', exists (
    select from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'pgmq' and p.proname = 'create' and oidvectortypes(p.proargtypes) = 'text'),
  'pgmq_sql', d.found -> 'pgmq_sql',
  'pgmq_headers', exists (
    select from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'pgmq' and c.relname = 'message_record' and a.attname = 'headers' and not a.attisdropped),
  'pg_cron', exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron'),
  'cron_job', d.found -> 'cron_job',
  'cron_elsewhere', case when pg_has_role('pg_read_all_settings', 'usage')
    then nullif(current_setting('cron.database_name', true), current_database()) end,
  'flowsmith_schema', to_regnamespace('flowsmith') is not null,
  -- Whether the role has the privileges that introspect.sql needs; null without flowsmith's schema.
  'triggers_readable', (
    select bool_and(has_function_privilege(p.oid, 'execute') and exists (
      select from pg_catalog.pg_class c
      where c.relnamespace = n.oid and c.relname = 'triggers'
        and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')))
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'flowsmith' and p.proname = 'trigger_differences'),
  'events_readable', exists (
    select from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'flowsmith' and c.relname = 'events'
      and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')),
  'realtime_send', exists (
    select from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'realtime' and p.proname = 'send' and oidvectortypes(p.proargtypes) = 'jsonb, text, text, boolean')
)::text as answer
from detected d
