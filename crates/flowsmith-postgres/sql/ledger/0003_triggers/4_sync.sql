-- ─── Bringing the one to the other ──────────────────────────────────────────────────────────────────────────────────

-- Gives pg_cron the jobs of these flows (null = of all), and takes away those that are meant no more. The jobs are its
-- owner's, whoever applies: pg_cron shows everyone their own jobs only.
create or replace function flowsmith.sync_jobs(flows text[] default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  has_scheduler constant boolean := flowsmith.has_scheduler();
  job record;
begin
  if has_scheduler then
    for job in
      select j.job_id from flowsmith.held_jobs() j
      where j.job like 'flowsmith:%:%' and (flows is null or j.flow = any (flows))
        and not exists (
          select from flowsmith.triggers t
          where t.kind = 'cron' and flowsmith.trigger_name(t.flow, t.name) = j.job and j.active and j.database = current_database()
            and t.definition #>> '{source,cron,schedule}' = j.schedule and flowsmith.job_command(t.flow, t.name) = j.command)
    loop
      execute 'select cron.unschedule($1)' using job.job_id;
    end loop;
    for job in
      select t.flow, t.name, t.definition #>> '{source,cron,schedule}' as schedule
      from flowsmith.triggers t
      where t.kind = 'cron' and (flows is null or t.flow = any (flows))
        and not exists (select from flowsmith.held_jobs() j where j.job = flowsmith.trigger_name(t.flow, t.name))
      order by t.flow, t.name
    loop
      begin
        execute 'select cron.schedule($1, $2, $3)'
          using flowsmith.trigger_name(job.flow, job.name), job.schedule, flowsmith.job_command(job.flow, job.name);
      exception when invalid_parameter_value or raise_exception or internal_error or feature_not_supported then
        raise exception 'flowsmith: trigger % of flow %: pg_cron refuses the schedule %: %', job.name, job.flow, job.schedule, sqlerrm
          using errcode = 'FL005', hint = format('`N seconds` and `$` need pg_cron 1.5 or later; this is %s.',
            (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pg_cron'));
      end;
    end loop;
  end if;
  update flowsmith.triggers t set scheduled = has_scheduler
  where t.kind = 'cron' and (flows is null or t.flow = any (flows)) and t.scheduled <> has_scheduler;
end
$$;

-- Why `when` or `input_sql` does not work in this database: a row an expression that does not. They are tried on rows of which the planner
-- knows no value, so that it takes nothing for granted; with the rights of a role, up to the moment when the first row would come,
-- when the rights on all that they name have been looked at. Without a role they are parsed, with the caller's rights, and no
-- code of theirs is run: planning runs functions that are immutable; one with a semicolon is left out. What the caller may not name is no fault then.
create or replace function flowsmith.trigger_faults(definition jsonb, run_as text default null) returns table (fault text, expression text)
language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as $$
declare
  source constant jsonb := definition -> 'source';
  table_id constant oid := flowsmith.table_oid(source #>> '{table,table}');
  role_before constant text := current_setting('role');
  switches constant boolean := run_as <> current_user;
  rows text := '(select null::int8 as id, null::timestamptz as time, null::text as type, null::jsonb as data offset 0) as event';
  tried record;
  statement text;
  is_text boolean := false;
  plan jsonb;
begin
  if source ? 'table' then
    if table_id is null then
      return;
    end if;
    -- The type of a row, whatever the table is called by now.
    rows := format('pg_catalog.jsonb_populate_record(null::%1$s, ''{}'') as new, pg_catalog.jsonb_populate_record(null::%1$s, ''{}'') as old,
      (select null::pg_catalog.text offset 0) as operation (tg_op)', (
      select format('%I.%I', n.nspname, c.relname)
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = table_id));
  end if;
  for tried in
    select e.key, e.text
    from (values ('when', source #>> '{table,when}'), ('input_sql', coalesce(source #>> '{table,input,sql}', source #>> '{queue,input_sql}'))) as e (key, text)
    -- Behind a semicolon there could be a statement that is not parsed alone.
    where e.text is not null and (run_as is not null or position(';' in e.text) = 0)
  loop
    begin
      if switches then
        perform set_config('role', run_as, true);
      end if;
      statement := format(case tried.key when 'when' then e'select case when (\n%s\n) then 1 end from %s' else e'select (\n%s\n)::pg_catalog.jsonb from %s' end,
        tried.text, rows);
      execute 'prepare flowsmith_trial as ' || statement;
      deallocate flowsmith_trial;
      if tried.key = 'input_sql' then
        begin
          execute format(e'prepare flowsmith_trial as select coalesce((\n%s\n), null::pg_catalog.text) from %s', tried.text, rows);
          deallocate flowsmith_trial;
          is_text := true;
          -- A literal passes for either.
          execute format(e'prepare flowsmith_trial as select coalesce((\n%s\n), null::pg_catalog.jsonb) from %s', tried.text, rows);
          deallocate flowsmith_trial;
          is_text := false;
        exception when datatype_mismatch then
          if is_text then
            raise exception 'it is text, of which nobody knows whether it holds JSON: write `(…)::jsonb` where it always does, else `to_jsonb(…)`';
          end if;
        end;
      end if;
      if run_as is not null then
        execute statement || ' limit 0';
        if tried.key = 'input_sql' then
          execute format(e'explain (format json) select from %2$s where (\n%1$s\n)::pg_catalog.jsonb is not null', tried.text, rows) into plan;
          if plan #>> '{0,Plan,One-Time Filter}' = 'false' then
            raise exception 'it is always null, and a run has an input';
          end if;
        end if;
      end if;
      if switches then
        perform set_config('role', role_before, true);
      end if;
    exception when others then
      if run_as is not null or sqlstate <> '42501' then
        fault := format('`%s` does not work here: %s', tried.key, sqlerrm);
        expression := tried.text;
        return next;
      end if;
    end;
  end loop;
end
$$;

-- Raises where an expression of a trigger does not work with the rights of this role.
create or replace function flowsmith.try_trigger(flow text, name text, definition jsonb, run_as text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  broken record;
begin
  for broken in select f.fault, f.expression from flowsmith.trigger_faults(definition, run_as) f loop
    raise exception 'flowsmith: trigger % of flow %: %', name, flow, broken.fault
      using errcode = 'FL005', detail = broken.expression,
        hint = 'It is an SQL expression; tables and functions outside of pg_catalog are named with their schema, and it has the rights of the role '
          || quote_ident(run_as) || '.';
  end loop;
end
$$;

-- Makes a table trigger and its function.
create or replace function flowsmith.create_table_trigger(flow text, name text, definition jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as $$
declare
  options    constant jsonb := definition #> '{source,table}';
  table_name constant text := options ->> 'table';
  table_id   constant oid := flowsmith.table_oid(options ->> 'table');
  called     constant text := flowsmith.trigger_name(flow, name);
  run_as text;
begin
  if table_id is null then
    raise exception 'flowsmith: trigger % of flow %: there is no table %', name, flow, table_name
      using errcode = 'FL005', hint = 'Create the table, and apply again.';
  end if;
  run_as := coalesce((
    select r.rolname::text
    from pg_catalog.pg_namespace n
    cross join lateral aclexplode(n.nspacl) a
    join pg_catalog.pg_roles r on r.oid = a.grantee
    where n.nspname = 'flowsmith_triggers' and a.privilege_type = 'CREATE' and a.grantee <> n.nspowner
      -- To give something to a role takes more than membership from version 16 on.
      and pg_has_role(r.oid, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
    order by r.rolname limit 1), current_user::text);
  perform flowsmith.try_trigger(flow, name, definition, run_as);
  execute format(
    'create function flowsmith_triggers.%I() returns trigger language plpgsql security definer
       set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as %L',
    called, flowsmith.trigger_body(flow, name, definition));
  execute format('revoke all on function flowsmith_triggers.%I() from public', called);
  execute format('create trigger %I after %s on %s for each row execute function flowsmith_triggers.%I(%L, %L)',
    called, (select string_agg(e.event, ' or ') from jsonb_array_elements_text(options -> 'on') as e (event)), table_name,
    called, flow, name);
  if run_as <> current_user then
    execute format('alter function flowsmith_triggers.%I() owner to %I', called, run_as);
  end if;
  update flowsmith.triggers t set function_owner = run_as
  where t.flow = create_table_trigger.flow and t.name = create_table_trigger.name;
exception
  when wrong_object_type or invalid_table_definition or invalid_object_definition or feature_not_supported then
    raise exception 'flowsmith: trigger % of flow %: % cannot have it: %', name, flow, table_name, sqlerrm
      using errcode = 'FL005', hint = 'Name a table; views and the engine''s own tables have no such triggers.';
  when insufficient_privilege then
    raise exception 'flowsmith: trigger % of flow % on %: %', name, flow, table_name, sqlerrm
      using errcode = 'insufficient_privilege',
        hint = format('Let the owner of the table `grant trigger on %s to %I`, and have `flowsmith install --grants` run for this version.', table_name, current_user);
end
$$;

-- Brings the triggers in force for these flows to those of their current versions, and looks whether they are. What is as meant is not touched.
create or replace function flowsmith.sync_triggers(flows text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  -- Functions whose table is gone have no trigger to be found by.
  called text[] := array(
    select flowsmith.trigger_name(r.flow, r.name) from flowsmith.triggers r
    where r.flow = any (flows) and r.kind = 'table' and not exists (
      select from flowsmith.meant_triggers(flows) m where m.flow = r.flow and m.name = r.name and m.kind = 'table'));
  changed text[];
  t record;
  wrong text;
  unscheduled text;
  eater record;
begin
  delete from flowsmith.triggers r
  where r.flow = any (flows) and not exists (select from flowsmith.meant_triggers(flows) m where m.flow = r.flow and m.name = r.name);
  insert into flowsmith.triggers as r (flow, name, kind, definition)
  select m.flow, m.name, m.kind, m.definition from flowsmith.meant_triggers(flows) m
  on conflict on constraint triggers_pkey do update
    set kind = excluded.kind, definition = excluded.definition, scheduled = r.scheduled and excluded.kind = 'cron',
        since = case when r.definition -> 'source' is distinct from excluded.definition -> 'source' then clock_timestamp() else r.since end
    where r.definition <> excluded.definition;

  -- Names of pgmq's queues know no case. Also where the one whose tasks they are comes later than the trigger.
  select r.flow, r.name, f.flow_slug into eater
  from flowsmith.triggers r
  join pgflow.flows f on lower(f.flow_slug) = lower(r.definition #>> '{source,queue,queue}')
  where r.kind = 'queue' and r.definition #>> '{source,queue,kind}' = 'pgmq'
  order by r.flow, r.name limit 1;
  if found then
    raise exception 'flowsmith: trigger % of flow %: the queue of pgmq that it names holds the tasks of the flow %', eater.name, eater.flow, eater.flow_slug
      using errcode = 'FL005', hint = 'Name a queue that is no flow''s: a trigger would take the tasks from their workers.';
  end if;

  changed := array(select flowsmith.trigger_name(d.flow, d.name) from flowsmith.trigger_differences(flows) d);
  called := called || array(select flowsmith.trigger_name(d.flow, d.name) from flowsmith.trigger_differences(flows) d);
  -- A trigger goes with its function, which is ours where the table may not be.
  for t in
    select p.proname
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname = 'flowsmith_triggers'
    where p.proname = any (called)
      or p.oid in (select h.function_id from flowsmith.held_table_triggers() h where flowsmith.trigger_name(h.flow, h.name) = any (changed))
    order by 1
  loop
    execute format('drop function flowsmith_triggers.%I() cascade', t.proname);
  end loop;

  for t in
    select m.flow, m.name, m.definition from flowsmith.meant_triggers(flows) m
    where m.kind = 'table' and not exists (
      select from flowsmith.held_table_triggers() h where h.flow = m.flow and h.name = m.name)
    order by m.flow, m.name
  loop
    perform flowsmith.create_table_trigger(t.flow, t.name, t.definition);
  end loop;

  for t in select m.flow, m.name, m.definition from flowsmith.meant_triggers(flows) m where m.definition #> '{source,queue}' ? 'input_sql' loop
    perform flowsmith.try_trigger(t.flow, t.name, t.definition, current_user);
  end loop;

  perform flowsmith.sync_jobs(flows);

  select string_agg(format('%s: trigger %s: %s', d.flow, d.name, d.difference), e'\n' order by d.flow, d.name) into wrong
  from flowsmith.trigger_differences(flows) d;
  if wrong is not null then
    raise exception e'flowsmith: the database does not have the triggers that are meant:\n%', wrong using errcode = 'FL003';
  end if;
  select string_agg(format('%s of %s', r.name, r.flow), ', ' order by r.flow, r.name) into unscheduled
  from flowsmith.triggers r where r.flow = any (flows) and r.kind = 'cron' and not r.scheduled;
  if unscheduled is not null then
    raise notice 'flowsmith: no pg_cron here that this role may use, so these schedules fire only while a worker runs with --schedule: %', unscheduled;
  end if;
end
$$;
