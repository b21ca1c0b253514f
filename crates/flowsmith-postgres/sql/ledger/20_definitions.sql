-- --- Definitions of flows ---------------------------------------------------------------------------------------------
--
-- "Expected" is the definition in flowsmith.flow_versions, "actual" what the engine's tables contain.

-- Returns the slug of a flow version in pgflow.flows.
create or replace function flowsmith.database_slug(flow text, version int) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when version = 1 then flow else flow || '_v' || version end
$$;

-- Returns whether the engine has conditions and skip modes (level 0.14), judged by the columns of its tables.
create or replace function flowsmith.has_conditions() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (
    select 1 from pg_catalog.pg_attribute
    where attrelid = pg_catalog.to_regclass('pgflow.steps') and attname = 'required_input_pattern' and not attisdropped
  )
$$;

-- Returns whether a recorded definition can be read. The functions below leave out a flow whose definition cannot.
create or replace function flowsmith.is_definition(definition jsonb) returns boolean
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  unnamed bigint;
begin
  perform (definition #>> '{options,max_attempts}')::int, (definition #>> '{options,base_delay}')::int,
          (definition #>> '{options,timeout}')::int;
  select count(*) filter (where step.slug is null) into unnamed
  from jsonb_array_elements(definition -> 'steps') element,
       jsonb_to_record(element.value) as step (
         slug text, kind text, depends_on text[], max_attempts int, base_delay int, timeout int, start_delay int,
         required_input_pattern jsonb, forbidden_input_pattern jsonb, when_unmet text, when_exhausted text);
  return unnamed = 0 and jsonb_typeof(definition -> 'steps') = 'array'
    and coalesce(jsonb_typeof(definition -> 'triggers'), 'array') = 'array'
    and not jsonb_path_exists(definition, '$.triggers[*] ? (!(@.name.type() == "string") || !(@.source.type() == "object"))');
exception when others then
  return false;
end
$$;

-- Returns the options of flows according to their recorded definitions.
create or replace function flowsmith.expected_flows(flow_slugs text[]) returns table (
  flow_slug text, max_attempts int, base_delay int, timeout int)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select v.flow_slug,
         coalesce((v.definition #>> '{options,max_attempts}')::int, 3),
         coalesce((v.definition #>> '{options,base_delay}')::int, 5),
         coalesce((v.definition #>> '{options,timeout}')::int, 60)
  from flowsmith.flow_versions v
  where v.flow_slug = any (expected_flows.flow_slugs) and flowsmith.is_definition(v.definition)
$$;

-- Returns the steps of flows according to their recorded definitions.
create or replace function flowsmith.expected_steps(flow_slugs text[]) returns table (
  flow_slug text, step_slug text, "position" bigint, kind text, depends_on text[],
  max_attempts int, base_delay int, timeout int, start_delay int,
  required_input_pattern jsonb, forbidden_input_pattern jsonb, when_unmet text, when_exhausted text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select v.flow_slug, step.slug, element.ordinality, coalesce(step.kind, 'single'), coalesce(step.depends_on, '{}'),
         step.max_attempts, step.base_delay, step.timeout, step.start_delay,
         step.required_input_pattern, step.forbidden_input_pattern,
         coalesce(step.when_unmet, 'skip'), coalesce(step.when_exhausted, 'fail')
  from flowsmith.flow_versions v,
       jsonb_array_elements(v.definition -> 'steps') with ordinality element,
       jsonb_to_record(element.value) as step (
         slug text, kind text, depends_on text[], max_attempts int, base_delay int, timeout int, start_delay int,
         required_input_pattern jsonb, forbidden_input_pattern jsonb, when_unmet text, when_exhausted text)
  where v.flow_slug = any (expected_steps.flow_slugs) and flowsmith.is_definition(v.definition)
$$;

-- Returns the steps of flows in the engine. Dynamic SQL, because an engine below level 0.14 lacks the columns of
-- conditions. `offset 0` prevents plans that read whole tables, which the planner prefers before the tables have
-- statistics.
create or replace function flowsmith.actual_steps(flow_slugs text[]) returns table (
  flow_slug text, step_slug text, "position" bigint, kind text, depends_on text[],
  max_attempts int, base_delay int, timeout int, start_delay int,
  required_input_pattern jsonb, forbidden_input_pattern jsonb, when_unmet text, when_exhausted text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  condition_columns constant text := case
    when flowsmith.has_conditions() then
      's.required_input_pattern, s.forbidden_input_pattern, s.when_unmet, s.when_exhausted'
    else 'null::jsonb, null::jsonb, ''skip''::text, ''fail''::text' end;
begin
  return query execute format($query$
    select flow.slug, step.*
    from unnest($1) flow (slug) cross join lateral (
      select s.step_slug, row_number() over (order by s.step_index), s.step_type,
             array(select d.dep_slug from pgflow.deps d where d.flow_slug = flow.slug and d.step_slug = s.step_slug
                   order by d.dep_slug collate "C"),
             s.opt_max_attempts, s.opt_base_delay, s.opt_timeout, s.opt_start_delay, %s
      from pgflow.steps s where s.flow_slug = flow.slug offset 0
    ) step
  $query$, condition_columns) using flow_slugs;
end
$$;

-- Returns whether flows have the expected definitions. `flow_differences` answers the same question seven times slower,
-- but reports the differences.
create or replace function flowsmith.flows_match(flow_slugs text[]) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if exists (
    select from flowsmith.flow_versions v
    where v.flow_slug = any (flows_match.flow_slugs) and not flowsmith.is_definition(v.definition)
  ) then
    return false;
  end if;
  if exists (
    select expected.* from flowsmith.expected_flows(flows_match.flow_slugs) expected
    except
    select f.flow_slug, f.opt_max_attempts, f.opt_base_delay, f.opt_timeout
    from pgflow.flows f where f.flow_slug = any (flows_match.flow_slugs)
  ) then
    return false;
  end if;
  return not exists (
    with
    expected as (select * from flowsmith.expected_steps(flows_match.flow_slugs)),
    actual as (select * from flowsmith.actual_steps(flows_match.flow_slugs))
    (select * from expected except all select * from actual)
    union all
    (select * from actual except all select * from expected)
  );
end
$$;

-- Describes how the properties of an actual object differ from the expected ones.
create or replace function flowsmith.describe_differences(expected jsonb, actual jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select string_agg(format('%s is %s, expected %s', property.key, actual -> property.key, property.value), '; ')
  from jsonb_each(expected) property
  where nullif(property.value, 'null') is distinct from nullif(actual -> property.key, 'null')
$$;

-- Returns the differences between the expected and the actual definitions of flows, one row each.
create or replace function flowsmith.flow_differences(flow_slugs text[])
returns table (flow_slug text, difference text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with
  expected_flow as (
    select f.flow_slug, to_jsonb(f) - 'flow_slug' as options
    from flowsmith.expected_flows(flow_differences.flow_slugs) f
  ),
  actual_flow as (
    select f.flow_slug, jsonb_build_object(
      'max_attempts', f.opt_max_attempts, 'base_delay', f.opt_base_delay, 'timeout', f.opt_timeout) as options
    from pgflow.flows f join expected_flow using (flow_slug)
  ),
  expected_step as (
    select s.flow_slug, s.step_slug, to_jsonb(s) - '{flow_slug,step_slug}'::text[] as properties
    from flowsmith.expected_steps(flow_differences.flow_slugs) s
  ),
  actual_step as (
    select s.flow_slug, s.step_slug, to_jsonb(s) - '{flow_slug,step_slug}'::text[] as properties
    from flowsmith.actual_steps(array(select f.flow_slug from expected_flow f)) s
  )
  select expected.flow_slug,
         case when actual.flow_slug is null then 'is missing'
              else flowsmith.describe_differences(expected.options, actual.options) end
  from expected_flow expected left join actual_flow actual using (flow_slug)
  where expected.options is distinct from actual.options
  union all
  select expected.flow_slug,
         format('step %s ', expected.step_slug)
           || case when actual.step_slug is null then 'is missing'
                   else flowsmith.describe_differences(expected.properties, actual.properties) end
  from expected_step expected left join actual_step actual using (flow_slug, step_slug)
  where expected.properties is distinct from actual.properties
  union all
  select actual.flow_slug, format('step %s is unexpected', actual.step_slug)
  from actual_step actual left join expected_step expected using (flow_slug, step_slug)
  where expected.step_slug is null
  union all
  select v.flow_slug, 'the definition in the ledger cannot be read'
  from flowsmith.flow_versions v
  where v.flow_slug = any (flow_differences.flow_slugs) and not flowsmith.is_definition(v.definition)
$$;

