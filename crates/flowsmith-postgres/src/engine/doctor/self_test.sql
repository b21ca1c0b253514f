-- Tests the engine with flows of its own. Must be run in a transaction that is rolled back.
--
-- Returns one row with one JSON text: an array of {"name", "status": "ok" | "failed" | "skipped", "detail"}. Each part is a
-- block that raises an error if it finds a problem; the error message is the detail. A part that continues where another
-- one ended is skipped if that one did not pass, and so is a part for which the engine's level lacks a function.
--
-- The flow that is run:   first -+- second -+- last          first fails once and is retried, then returns [1, 2]
--                                +- each ---+                each maps it

set local client_min_messages = error;

do $self_test$
declare
  slug      text := 'flowsmith_self_test_' || substr(md5(random()::text), 1, 12);
  -- The name of a part, the part whose end it continues from, and a function that it calls.
  parts     text[] := array[
    'schema',                 '',                       '',
    'flow creation',          '',                       'pgflow.create_flow(text, integer, integer, integer)',
    'options',                'flow creation',          '',
    'steps and dependencies', 'flow creation',          '',
    'map rule',               'options',                '',
    'idempotency',            'steps and dependencies', '',
    'shapes',                 'steps and dependencies', 'pgflow.ensure_flow_compiled(text, jsonb, boolean)',
    'start',                  'steps and dependencies', 'pgflow.start_flow(text, jsonb, uuid)',
    'poll',                   'start',                  'pgflow.start_tasks(text, bigint[], uuid)',
    'failure and retry',      'poll',                   'pgflow.fail_task(uuid, text, integer, text)',
    'dependency chain',       'failure and retry',      'pgflow.complete_task(uuid, text, integer, jsonb)',
    'map',                    'dependency chain',       '',
    'completion',             'map',                    '',
    'exhausted attempts',     'start',                  'pgflow.fail_task(uuid, text, integer, text)',
    'conditions',             'start',                  'pgflow._get_flow_shape(text)',
    'batches',                'start',                  'pgflow.complete_tasks(uuid[], text[], integer[], jsonb[])',
    'invariants',             'start',                  'pgflow.violations(uuid)',
    'cleanup',                'flow creation',          'pgflow.delete_flow_and_data(text)'];
  missing   text := '';
  passed    text[] := '{""}';
  results   jsonb := '[]';
  part      text;
  previous  text;
  required  text;
  reason    text;
  flow      pgflow.flows;
  step      pgflow.steps;
  shape     jsonb;
  run       uuid;
  other_run uuid;
  claimed   jsonb;
  worker    uuid := gen_random_uuid();
  found     text;
  n         bigint;
begin
  for i in 1 .. cardinality(parts) by 3 loop
    part := parts[i];
    previous := parts[i + 1];
    required := parts[i + 2];
    reason := case
      when required <> '' and to_regprocedure(required) is null then
        format('this level has no %s', split_part(split_part(required, '(', 1), '.', 2))
      when part = 'conditions' and to_regprocedure('pgflow.start_tasks(text, bigint[], uuid)') is null then 'this level has no start_tasks'
      when previous <> all (passed) then format('%s did not pass', previous)
    end;
    if reason is not null then
      results := results || jsonb_build_object('name', part, 'status', 'skipped', 'detail', reason);
      continue;
    end if;

    begin
      found := '';
      case part
      when 'schema' then
        select string_agg(name, ', ') into missing
        from unnest(array['flows', 'steps', 'deps', 'runs', 'step_states', 'step_tasks', 'workers']) as required_table (name)
        where to_regclass('pgflow.' || name) is null;
        if missing is not null then raise exception 'these tables are missing: %', missing; end if;

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
        step := pgflow.add_step(slug, 'first', base_delay => 0, start_delay => 0);
        if (step.step_index, step.deps_count) is distinct from (0, 0) then raise exception 'the first step is %', step; end if;
        step := pgflow.add_step(slug, 'second', array['first'], max_attempts => 2);
        if (step.step_index, step.deps_count, step.opt_max_attempts) is distinct from (1, 1, 2) then raise exception 'the second step is %', step; end if;
        perform pgflow.add_step(slug, 'each', array['first'], step_type => 'map');
        step := pgflow.add_step(slug, 'last', array['second', 'each']);
        if (step.step_index, step.deps_count) is distinct from (3, 2) then raise exception 'the last step is %', step; end if;
        select string_agg(format('%s-%s', d.dep_slug, d.step_slug), ' ' order by d.dep_slug, d.step_slug) into found
        from pgflow.deps d where d.flow_slug = slug;
        if found is distinct from 'each-last first-each first-second second-last' then raise exception 'the dependencies are %', found; end if;
        found := '';

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
        if cardinality(pgflow._compare_flow_shapes(shape, '{"steps": []}')) is distinct from 5 then raise exception 'the differences between two shapes are not detected'; end if;

      when 'start' then
        insert into pgflow.workers (worker_id, queue_name, function_name) values (worker, slug, 'flowsmith doctor');
        select r.run_id into run from pgflow.start_flow(slug, '{"n": 1}') r where r.status = 'started' and r.remaining_steps = 4;
        if run is null then raise exception 'start_flow returned no started run of four steps'; end if;
        select string_agg(format('%s %s', s.step_slug, s.status), ', ' order by s.step_slug) into found from pgflow.step_states s where s.run_id = run;
        if found is distinct from 'each created, first started, last created, second created' then raise exception 'the steps are %', found; end if;
        found := '';

      when 'poll' then
        select jsonb_agg(to_jsonb(t)) into claimed
        from (select array_agg(m.msg_id) as ids from pgmq.read(slug, 60, 10) m) read, pgflow.start_tasks(slug, read.ids, worker) t;
        if jsonb_array_length(claimed) is distinct from 1 or claimed #>> '{0,step_slug}' is distinct from 'first' then raise exception 'a worker claimed %', claimed; end if;
        select count(*) into n from pgmq.read(slug, 60, 10) m;
        if n > 0 then raise exception 'the message of a started task can be read again'; end if;

      when 'failure and retry' then
        perform pgflow.fail_task(run, 'first', 0, 'on purpose');
        if not exists (
          select from pgflow.step_tasks t
          where t.run_id = run and t.status = 'queued' and t.attempts_count = 1 and t.error_message = 'on purpose'
        ) then
          raise exception 'a failed task with attempts left is %', (select to_jsonb(t) from pgflow.step_tasks t where t.run_id = run);
        end if;
        select count(*) into n
        from (select array_agg(m.msg_id) as ids from pgmq.read(slug, 60, 10) m) read, pgflow.start_tasks(slug, read.ids, worker) t;
        if n <> 1 then raise exception 'a task that waits for a retry could not be claimed after its delay of 0 seconds'; end if;

      when 'dependency chain' then
        perform pgflow.complete_task(run, 'first', 0, '[1, 2]');
        select jsonb_agg(to_jsonb(t) order by t.step_slug, t.task_index) into claimed
        from (select array_agg(m.msg_id) as ids from pgmq.read(slug, 60, 10) m) read, pgflow.start_tasks(slug, read.ids, worker) t;
        select string_agg(t ->> 'step_slug', ' ') into found from jsonb_array_elements(claimed) t;
        if found is distinct from 'each each second' then raise exception 'completing a step started %', coalesce(found, 'nothing'); end if;
        found := '';
        if claimed #> '{2,input,first}' is distinct from '[1, 2]' then raise exception 'a dependent''s input is %', claimed #> '{2,input}'; end if;

      when 'map' then
        if (claimed #> '{0,input}', claimed #> '{1,input}') is distinct from ('1'::jsonb, '2'::jsonb) then
          raise exception 'the inputs of a map''s tasks are % and %', claimed #> '{0,input}', claimed #> '{1,input}';
        end if;
        perform pgflow.complete_task(run, 'each', 1, '"b"');
        perform pgflow.complete_task(run, 'each', 0, '"a"');
        if not exists (select from pgflow.step_states s where s.run_id = run and s.step_slug = 'each' and s.status = 'completed') then
          raise exception 'a map is not completed with its last task';
        end if;

      when 'completion' then
        perform pgflow.complete_task(run, 'second', 0, '{}');
        select jsonb_agg(to_jsonb(t)) into claimed
        from (select array_agg(m.msg_id) as ids from pgmq.read(slug, 60, 10) m) read, pgflow.start_tasks(slug, read.ids, worker) t;
        if claimed #> '{0,input,each}' is distinct from '["a", "b"]' then raise exception 'a map''s output reaches its dependent as %', claimed #> '{0,input}'; end if;
        perform pgflow.complete_task(run, 'last', 0, '"done"');
        perform pgflow.complete_task(run, 'last', 0, '"again"');
        if not exists (select from pgflow.runs r where r.run_id = run and r.status = 'completed' and r.output = '{"last": "done"}' and r.remaining_steps = 0) then
          raise exception 'the run ended as %', (select to_jsonb(r) from pgflow.runs r where r.run_id = run);
        end if;
        execute format('select count(*) from pgmq.%I', 'q_' || lower(slug)) into n;
        if n > 0 then raise exception 'the run has ended and % of its messages are still in the queue', n; end if;

      when 'exhausted attempts' then
        perform pgflow.create_flow(slug || '_fails', max_attempts => 1);
        perform pgflow.add_step(slug || '_fails', 'fails');
        perform pgflow.add_step(slug || '_fails', 'beside');
        select r.run_id into other_run from pgflow.start_flow(slug || '_fails', '{}') r;
        perform from (select array_agg(m.msg_id) as ids from pgmq.read(slug || '_fails', 60, 10) m) read, pgflow.start_tasks(slug || '_fails', read.ids, worker) t;
        perform pgflow.fail_task(other_run, 'fails', 0, 'on purpose');
        if not exists (select from pgflow.runs r where r.run_id = other_run and r.status = 'failed') then
          raise exception 'a run whose task has no attempts left is %', (select to_jsonb(r) from pgflow.runs r where r.run_id = other_run);
        end if;
        execute format('select count(*) from pgmq.%I', 'q_' || lower(slug) || '_fails') into n;
        if n > 0 then raise exception 'the run has failed and % of its messages are still in the queue', n; end if;

      when 'conditions' then
        perform pgflow.create_flow(slug || '_if');
        perform pgflow.add_step(slug || '_if', 'always');
        perform pgflow.add_step(slug || '_if', 'never', required_input_pattern => '{"go": true}');
        perform pgflow.add_step(slug || '_if', 'cascaded', required_input_pattern => '{"go": true}', when_unmet => 'skip-cascade');
        perform pgflow.add_step(slug || '_if', 'below', array['cascaded']);
        perform pgflow.add_step(slug || '_if', 'after', array['never']);
        select r.run_id into other_run from pgflow.start_flow(slug || '_if', '{"go": false}') r;
        select string_agg(format('%s %s', s.step_slug, concat_ws(' ', s.status, s.skip_reason)), ', ' order by s.step_slug) into found
        from pgflow.step_states s where s.run_id = other_run;
        if found is distinct from 'after started, always started, below skipped dependency_skipped, cascaded skipped condition_unmet, never skipped condition_unmet' then
          raise exception 'the steps are %', found;
        end if;
        found := '';

      when 'batches' then
        perform pgflow.create_flow(slug || '_batch');
        perform pgflow.add_step(slug || '_batch', 'each', step_type => 'map');
        select r.run_id into other_run from pgflow.start_flow(slug || '_batch', '[1, 2, 3]') r;
        perform from (select array_agg(m.msg_id) as ids from pgmq.read(slug || '_batch', 60, 10) m) read, pgflow.start_tasks(slug || '_batch', read.ids, worker) t;
        perform pgflow.complete_tasks(array[other_run, other_run, other_run], array['each', 'each', 'each'], array[2, 1, 0], array['3', '2', '1']::jsonb[]);
        if not exists (select from pgflow.runs r where r.run_id = other_run and r.output = '{"each": [1, 2, 3]}') then
          raise exception 'a run whose tasks were completed at once is %', (select to_jsonb(r) from pgflow.runs r where r.run_id = other_run);
        end if;
        execute format('select count(*) from pgmq.%I', 'q_' || lower(slug) || '_batch') into n;
        if n > 0 then raise exception 'the run has ended and % of its messages are still in the queue', n; end if;

      when 'invariants' then
        select count(*), string_agg(format('%s: %s %s', v.rule, v.step_slug, v.detail), '; ') into n, found
        from pgflow.runs r cross join lateral pgflow.violations(r.run_id) v
        where r.flow_slug in (slug, slug || '_fails', slug || '_if', slug || '_batch');
        if n > 0 then raise exception 'of the runs above: %', found; end if;
        select format('%s runs', count(*)) into found
        from pgflow.runs r where r.flow_slug in (slug, slug || '_fails', slug || '_if', slug || '_batch');

      when 'cleanup' then
        -- delete_flow_and_data locks pgflow.step_tasks. It does not wait for sessions that hold a lock on it, because other
        -- sessions would queue behind it; another doctor may hold one too.
        perform set_config('lock_timeout', '100ms', true);
        perform pgflow.delete_flow_and_data(slug);
        if exists (select from pgflow.flows f where f.flow_slug = slug) or exists (select from pgmq.meta m where m.queue_name = slug) then
          raise exception 'delete_flow_and_data left the flow or its queue';
        end if;
      end case;
      results := results || jsonb_build_object('name', part, 'status', 'ok', 'detail', found);
      passed := passed || part;
    exception
      when lock_not_available or deadlock_detected then
        results := results || jsonb_build_object(
          'name', part, 'status', 'skipped', 'detail', 'another session is working on a task: run the doctor again when the database is less busy');
      when insufficient_privilege or read_only_sql_transaction then
        results := results || jsonb_build_object('name', part, 'status', 'skipped', 'detail', sqlerrm);
      when others then
        results := results || jsonb_build_object('name', part, 'status', 'failed', 'detail', sqlerrm);
    end;
  end loop;
  perform set_config('flowsmith.self_test', results::text, true);
end
$self_test$;

select current_setting('flowsmith.self_test') as results;
