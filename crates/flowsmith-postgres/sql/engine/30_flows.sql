-- Flow definitions
-- ================

-- Creates a flow and its queue, unless they exist. Null options mean 3 attempts, a base delay of 5 seconds and a
-- timeout of 60 seconds. Concurrent calls for one slug all return the same row: the insert waits until the other
-- transaction commits. Raises an error if the queue exists but is not the flow's own, because deleting the flow would
-- delete the queue.
create function pgflow.create_flow(
  flow_slug    text,
  max_attempts integer default null,
  base_delay   integer default null,
  timeout      integer default null
) returns pgflow.flows
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  created_flow pgflow.flows;
  is_new       boolean;
begin
  if length(create_flow.flow_slug) > 47 then
    raise exception 'flow slug "%" has % characters, but a queue name can have at most 47',
      create_flow.flow_slug, length(create_flow.flow_slug)
      using errcode = 'name_too_long', hint = 'The slug also names the queue in pgmq: choose a shorter one.';
  end if;

  insert into pgflow.flows as flow (flow_slug, opt_max_attempts, opt_base_delay, opt_timeout)
  values (
    create_flow.flow_slug,
    coalesce(create_flow.max_attempts, 3),
    coalesce(create_flow.base_delay, 5),
    coalesce(create_flow.timeout, 60)
  )
  on conflict do nothing
  returning flow.* into created_flow;
  is_new := found;

  if not is_new then
    select flow.* into created_flow from pgflow.flows flow where flow.flow_slug = create_flow.flow_slug;
    if not found then
      raise exception 'flow slug "%" differs only in case from the existing flow "%"', create_flow.flow_slug,
        (select flow.flow_slug from pgflow.flows flow where lower(flow.flow_slug) = lower(create_flow.flow_slug))
        using errcode = 'unique_violation',
          hint = format('Both would have the queue table pgmq.q_%s: choose another slug.', lower(create_flow.flow_slug));
    end if;
  end if;

  if pgflow._queue_exists(create_flow.flow_slug) and not (
    pgflow._owns_queue(create_flow.flow_slug)
    -- Without its flow, a queue is known as the engine's by its comment only.
    and (not is_new or pgflow._is_marked_queue(create_flow.flow_slug))
  ) then
    raise exception 'cannot create flow "%": queue "%" is already in use by another owner',
      create_flow.flow_slug, lower(create_flow.flow_slug)
      using errcode = 'unique_violation', hint = 'Choose another slug for the flow.';
  end if;
  perform pgflow._create_queue(create_flow.flow_slug);
  return created_flow;
end
$$;

-- Returns whether pgmq lists a queue of this name, or has a table that the queue would use.
create function pgflow._queue_exists(flow_slug text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return to_regclass(format('pgmq.%I', 'q_' || lower(_queue_exists.flow_slug))) is not null
    or to_regclass(format('pgmq.%I', 'a_' || lower(_queue_exists.flow_slug))) is not null
    or exists (select from pgmq.meta queue where queue.queue_name = _queue_exists.flow_slug);
end
$$;

-- Returns whether the tables of a flow's queue are the engine's: they belong to the owner of the engine's tables or to a
-- superuser. If the queue was dropped and another role created one of the same name, they are not. False for a missing
-- queue.
create function pgflow._owns_queue(flow_slug text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select count(*) > 0 and bool_and(
      relation.relowner = (select engine.relowner from pg_class engine where engine.oid = 'pgflow.flows'::regclass)
      or exists (select from pg_roles role where role.oid = relation.relowner and role.rolsuper))
    from pg_class relation
    where relation.relnamespace = 'pgmq'::regnamespace
      and relation.relname in ('q_' || lower(_owns_queue.flow_slug), 'a_' || lower(_owns_queue.flow_slug)));
end
$$;

-- Returns whether _create_queue created the queue. Only the owner of a table can comment on it.
create function pgflow._is_marked_queue(flow_slug text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(
    obj_description(to_regclass(format('pgmq.%I', 'q_' || lower(_is_marked_queue.flow_slug))), 'pg_class') = 'queue of a pgflow flow',
    false);
end
$$;

-- Creates the queue of a flow, unless it exists. The caller runs with the privileges of the engine's owner, which makes
-- that role the owner of every queue, whoever deploys. Roles that may start tasks are granted the privileges with which
-- pgmq reads, hides, archives and deletes messages, but not those to send or change one. Roles that may only check for
-- violations can read the messages. PUBLIC has no privileges, whatever the default privileges are.
create function pgflow._create_queue(flow_slug text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  queue   constant text := 'q_' || lower(_create_queue.flow_slug);
  archive constant text := 'a_' || lower(_create_queue.flow_slug);
  role    record;
begin
  if to_regclass(format('pgmq.%I', queue)) is not null and to_regclass(format('pgmq.%I', archive)) is not null
    and exists (select from pgmq.meta listed where listed.queue_name = _create_queue.flow_slug) then
    return;
  end if;
  perform pgmq.create(_create_queue.flow_slug);
  execute format('comment on table pgmq.%I is %L', queue, 'queue of a pgflow flow');
  execute format('revoke all on pgmq.%I, pgmq.%I from public', queue, archive);
  if to_regclass(format('pgmq.%I', queue || '_msg_id_seq')) is not null then
    execute format('revoke all on sequence pgmq.%I from public', queue || '_msg_id_seq');
  end if;
  for role in
    select pg_get_userbyid(privilege.grantee)::text as name, bool_or(function.proname = 'start_tasks') as is_worker
    from pg_proc function cross join lateral aclexplode(function.proacl) privilege
    where function.oid in ('pgflow.start_tasks(text, bigint[], uuid)'::regprocedure, 'pgflow.violations(uuid)'::regprocedure)
      and privilege.grantee not in (0, function.proowner)
    group by privilege.grantee
  loop
    execute format('grant select on pgmq.%I, pgmq.%I to %I', queue, archive, role.name);
    if role.is_worker then
      execute format('grant delete, update (vt, read_ct) on pgmq.%I to %I', queue, role.name);
      execute format('grant insert on pgmq.%I to %I', archive, role.name);
      if exists (
        select from pg_attribute attribute
        where attribute.attrelid = format('pgmq.%I', queue)::regclass and attribute.attname = 'last_read_at'
          and not attribute.attisdropped
      ) then
        execute format('grant update (last_read_at) on pgmq.%I to %I', queue, role.name);
      end if;
    end if;
  end loop;
end
$$;

-- Drops the queue of a flow that is being deleted. A queue that belongs to another role is kept.
create function pgflow._drop_queue(flow_slug text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if not pgflow._queue_exists(_drop_queue.flow_slug) then
    return;
  end if;
  if not pgflow._owns_queue(_drop_queue.flow_slug) then
    raise warning 'the queue "%" is kept, because it belongs to another owner', lower(_drop_queue.flow_slug);
    return;
  end if;
  perform pgmq.drop_queue(_drop_queue.flow_slug);
end
$$;

-- Adds a step to a flow, after its existing steps, unless the step exists. Its dependencies must exist, so a flow
-- cannot have a cycle. Concurrent calls for one flow wait for each other on the flow's row. The row is locked by a
-- statement of its own, because a statement does not see rows that were committed while it waited.
create function pgflow.add_step(
  flow_slug               text,
  step_slug               text,
  deps_slugs              text[]  default '{}',
  max_attempts            integer default null,
  base_delay              integer default null,
  timeout                 integer default null,
  start_delay             integer default null,
  step_type               text    default 'single',
  required_input_pattern  jsonb   default null,
  forbidden_input_pattern jsonb   default null,
  when_unmet              text    default 'skip',
  when_exhausted          text    default 'fail'
) returns pgflow.steps
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  added_step pgflow.steps;
  -- deps has one row for a dependency that is listed twice, so it must be counted once.
  dep_slugs  text[] := array(select distinct dep from unnest(add_step.deps_slugs) dep);
begin
  if add_step.step_type = 'map' and cardinality(dep_slugs) > 1 then
    raise exception 'Map step "%" can have at most one dependency, but % were provided: %',
      add_step.step_slug, cardinality(add_step.deps_slugs), array_to_string(add_step.deps_slugs, ', ');
  end if;

  -- Serializes calls for the flow, so that each step gets its own index.
  perform from pgflow.flows flow where flow.flow_slug = add_step.flow_slug for no key update;
  select * into added_step from pgflow.steps step
  where step.flow_slug = add_step.flow_slug and step.step_slug = add_step.step_slug;
  if found then
    return added_step;
  end if;

  added_step.flow_slug               := add_step.flow_slug;
  added_step.step_slug               := add_step.step_slug;
  added_step.step_type               := coalesce(add_step.step_type, 'single');
  added_step.step_index              := coalesce(
    (select max(step.step_index) from pgflow.steps step where step.flow_slug = add_step.flow_slug), -1) + 1;
  added_step.deps_count              := cardinality(dep_slugs);
  added_step.opt_max_attempts        := add_step.max_attempts;
  added_step.opt_base_delay          := add_step.base_delay;
  added_step.opt_timeout             := add_step.timeout;
  added_step.opt_start_delay         := add_step.start_delay;
  added_step.required_input_pattern  := add_step.required_input_pattern;
  added_step.forbidden_input_pattern := add_step.forbidden_input_pattern;
  added_step.when_unmet              := coalesce(add_step.when_unmet, 'skip');
  added_step.when_exhausted          := coalesce(add_step.when_exhausted, 'fail');
  added_step.created_at              := now();
  insert into pgflow.steps values (added_step.*);
  insert into pgflow.deps (flow_slug, dep_slug, step_slug)
  select added_step.flow_slug, dep, added_step.step_slug from unnest(dep_slugs) dep;
  return added_step;
end
$$;

-- Deletes a flow with its runs and its own queue. Does nothing if the flow does not exist.
create function pgflow.delete_flow_and_data(p_flow_slug text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Until the transaction ends, no session can start a run of this flow, and no session can change any task.
  perform from pgflow.flows flow where flow.flow_slug = p_flow_slug for update;
  if not found then
    return;
  end if;
  lock table pgflow.step_tasks in exclusive mode;

  delete from pgflow.step_tasks task using pgflow.runs run
  where run.flow_slug = p_flow_slug and task.run_id = run.run_id;
  delete from pgflow.step_states state using pgflow.runs run
  where run.flow_slug = p_flow_slug and state.run_id = run.run_id;
  delete from pgflow.runs run where run.flow_slug = p_flow_slug;
  delete from pgflow.deps dependency where dependency.flow_slug = p_flow_slug;
  delete from pgflow.steps step where step.flow_slug = p_flow_slug;
  delete from pgflow.flows flow where flow.flow_slug = p_flow_slug;

  perform pgflow._drop_queue(p_flow_slug);
end
$$;


