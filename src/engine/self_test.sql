-- A walk through the engine on flows of its own. Run inside a transaction that is always rolled back.
--
-- Gives one row with one JSON text: an array of {"name", "status": "ok" | "failed" | "skipped", "detail"}. Each part is a
-- block that raises where something is not as it should be; what it raises is its detail. A part that the engine has no
-- functions for is skipped.

set local client_min_messages = error;

do $self_test$
declare
  slug     text := 'flowsmith_self_test_' || substr(md5(random()::text), 1, 12);
  results  jsonb := '[]';
  part     text;
  parts    text[] := array['flow creation', 'options', 'steps and dependencies', 'map rule', 'idempotency', 'shapes', 'running', 'retrying', 'cleanup'];
  why      text;
  flow     pgflow.flows;
  step     pgflow.steps;
  shape    jsonb;
  run      uuid;
  message  bigint;
  worker   uuid := gen_random_uuid();
  rows     bigint;
begin
  foreach part in array parts loop
    why := case
      when part = 'shapes' and to_regprocedure('pgflow.ensure_flow_compiled(text, jsonb, boolean)') is null then 'this level has no shape functions'
      when part = 'cleanup' and to_regprocedure('pgflow.delete_flow_and_data(text)') is null then 'this level has no delete_flow_and_data'
      when part in ('running', 'retrying') and to_regprocedure('pgflow.start_tasks(text, bigint[], uuid)') is null then 'the engine has no functions that run flows yet'
    end;
    if why is not null then
      results := results || jsonb_build_object('name', part, 'status', 'skipped', 'detail', why);
      continue;
    end if;

    begin
      case part
      when 'flow creation' then
        flow := pgflow.create_flow(slug);
        if flow.flow_slug is distinct from slug then raise exception 'create_flow returned %', flow; end if;
        if not exists (select from pgmq.meta m where m.queue_name = slug) then raise exception 'the queue % was not created', slug; end if;
      when 'options' then
        if (flow.opt_max_attempts, flow.opt_base_delay, flow.opt_timeout) is distinct from (3, 5, 60) then
          raise exception 'the defaults are %, not 3, 5 and 60', (flow.opt_max_attempts, flow.opt_base_delay, flow.opt_timeout);
        end if;
        flow := pgflow.create_flow(slug || '_options', max_attempts => 7, base_delay => 8, timeout => 9);
        if (flow.opt_max_attempts, flow.opt_base_delay, flow.opt_timeout) is distinct from (7, 8, 9) then
          raise exception 'options 7, 8 and 9 became %', (flow.opt_max_attempts, flow.opt_base_delay, flow.opt_timeout);
        end if;
      when 'steps and dependencies' then
        step := pgflow.add_step(slug, 'first', start_delay => 0);
        if (step.step_index, step.deps_count) is distinct from (0, 0) then raise exception 'the first step is %', step; end if;
        step := pgflow.add_step(slug, 'second', array['first'], max_attempts => 2, base_delay => 0);
        if (step.step_index, step.deps_count, step.opt_max_attempts) is distinct from (1, 1, 2) then raise exception 'the second step is %', step; end if;
        select count(*) into rows from pgflow.deps d where d.flow_slug = slug and d.dep_slug = 'first' and d.step_slug = 'second';
        if rows <> 1 then raise exception 'the dependency has % rows', rows; end if;
      when 'map rule' then
        step := pgflow.add_step(slug || '_options', 'root_map', step_type => 'map');
        if step.step_type is distinct from 'map' then raise exception 'the map step is %', step; end if;
        begin
          perform pgflow.add_step(slug, 'refused', array['first', 'second'], step_type => 'map');
        exception when raise_exception then
          if sqlerrm not like 'Map step "refused" can have at most one dependency%' then raise; end if;
          step := null;
        end;
        if step is not null then raise exception 'a map step with two dependencies was accepted'; end if;
      when 'idempotency' then
        flow := pgflow.create_flow(slug, max_attempts => 99);
        step := pgflow.add_step(slug, 'second', array['first'], max_attempts => 99);
        if (flow.opt_max_attempts, step.opt_max_attempts, step.step_index) is distinct from (3, 2, 1) then
          raise exception 'calling again changed the flow to % and the step to %', flow, step;
        end if;
      when 'shapes' then
        shape := pgflow._get_flow_shape(slug);
        if shape #>> '{steps,1,dependencies,0}' is distinct from 'first' then raise exception 'the shape is %', shape; end if;
        if pgflow.ensure_flow_compiled(slug, shape) ->> 'status' is distinct from 'verified' then raise exception 'a flow differs from its own shape'; end if;
        if cardinality(pgflow._compare_flow_shapes(shape, '{"steps": []}')) is distinct from 3 then raise exception 'two shapes that differ are not told apart'; end if;
      when 'running', 'retrying' then
        insert into pgflow.workers (worker_id, queue_name, function_name) values (worker, slug, 'flowsmith doctor') on conflict do nothing;
        select r.run_id into run from pgflow.start_flow(slug, '{"n": 1}') r;
        if part = 'running' then
          select t.message_id into message from pgflow.step_tasks t where t.run_id = run and t.step_slug = 'first';
          perform pgflow.start_tasks(slug, array[message], worker);
          perform pgflow.complete_task(run, 'first', 0, '{"m": 2}');
        else
          select t.message_id into message from pgflow.step_tasks t where t.run_id = run and t.step_slug = 'first';
          perform pgflow.start_tasks(slug, array[message], worker);
          perform pgflow.fail_task(run, 'first', 0, 'on purpose');
          if not exists (select from pgflow.step_tasks t where t.run_id = run and t.status = 'queued' and t.attempts_count = 1) then
            raise exception 'a failed task with attempts left was not queued again';
          end if;
          perform pgflow.start_tasks(slug, array[message], worker);
          perform pgflow.complete_task(run, 'first', 0, '{"m": 2}');
        end if;
        select t.message_id into message from pgflow.step_tasks t where t.run_id = run and t.step_slug = 'second';
        if message is null then raise exception 'completing a step did not start its dependent'; end if;
        perform pgflow.start_tasks(slug, array[message], worker);
        perform pgflow.complete_task(run, 'second', 0, '[3]');
        if not exists (select from pgflow.runs r where r.run_id = run and r.status = 'completed' and r.output = '{"second": [3]}') then
          raise exception 'the run ended as %', (select to_jsonb(r) from pgflow.runs r where r.run_id = run);
        end if;
      when 'cleanup' then
        perform pgflow.delete_flow_and_data(slug);
        if exists (select from pgflow.flows f where f.flow_slug = slug) or exists (select from pgmq.meta m where m.queue_name = slug) then
          raise exception 'delete_flow_and_data left the flow or its queue';
        end if;
      end case;
      results := results || jsonb_build_object('name', part, 'status', 'ok', 'detail', '');
    exception
      when insufficient_privilege or read_only_sql_transaction then
        results := results || jsonb_build_object('name', part, 'status', 'skipped', 'detail', sqlerrm);
      when others then
        results := results || jsonb_build_object('name', part, 'status', 'failed', 'detail', sqlerrm);
    end;
  end loop;
  perform set_config('flowsmith.self_test', results::text, true);
end
$self_test$;

select current_setting('flowsmith.self_test');
