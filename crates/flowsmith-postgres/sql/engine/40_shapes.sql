-- Shapes
-- ======
--
-- A shape is a flow as its code defines it, in JSON: its steps with their types, dependencies, conditions and skip
-- modes, but without options.

-- Returns the shape of a flow; its list of steps is empty if the flow does not exist.
create function pgflow._get_flow_shape(p_flow_slug text) returns jsonb
language sql stable
return (
  select jsonb_build_object('steps', coalesce(jsonb_agg(
    jsonb_build_object(
      'slug', step.step_slug,
      'stepType', step.step_type,
      'dependencies', coalesce(
        (select jsonb_agg(dependency.dep_slug order by dependency.dep_slug collate "C")
         from pgflow.deps dependency
         where dependency.flow_slug = step.flow_slug and dependency.step_slug = step.step_slug),
        '[]'),
      'whenUnmet', step.when_unmet,
      'whenExhausted', step.when_exhausted,
      'requiredInputPattern',
        case when step.required_input_pattern is null then '{"defined": false}'
             else jsonb_build_object('defined', true, 'value', step.required_input_pattern) end,
      'forbiddenInputPattern',
        case when step.forbidden_input_pattern is null then '{"defined": false}'
             else jsonb_build_object('defined', true, 'value', step.forbidden_input_pattern) end
    ) order by step.step_index), '[]'))
  from pgflow.steps step
  where step.flow_slug = p_flow_slug
);

-- Returns a description of each difference between two shapes, by step; empty if they are equal. A missing key has its
-- default.
create function pgflow._compare_flow_shapes(p_local jsonb, p_db jsonb) returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  with
  step as (
    select coalesce(local.index, db.index) - 1 as index, local.step as local, db.step as db
    from jsonb_array_elements(p_local -> 'steps') with ordinality as local (step, index)
    full join jsonb_array_elements(p_db -> 'steps') with ordinality as db (step, index) using (index)
  ),
  -- rank orders the descriptions of one step
  difference as (
    select step.index, description.rank, description.text
    from step
    cross join lateral (
      select
        coalesce((
          select string_agg(slug, ', ' order by place)
          from jsonb_array_elements_text(step.local -> 'dependencies') with ordinality as dependency (slug, place)), '') as local,
        coalesce((
          select string_agg(slug, ', ' order by place)
          from jsonb_array_elements_text(step.db -> 'dependencies') with ordinality as dependency (slug, place)), '') as db
    ) dependencies
    cross join lateral (values
      (0, 'slug differs', format('''%s''', step.local ->> 'slug'), format('''%s''', step.db ->> 'slug')),
      (1, 'type differs', format('''%s''', coalesce(step.local ->> 'stepType', 'single')),
          format('''%s''', coalesce(step.db ->> 'stepType', 'single'))),
      (2, 'dependencies differ', format('[%s]', dependencies.local), format('[%s]', dependencies.db)),
      (3, 'whenUnmet differs', format('''%s''', coalesce(step.local ->> 'whenUnmet', 'skip')),
          format('''%s''', coalesce(step.db ->> 'whenUnmet', 'skip'))),
      (4, 'whenExhausted differs', format('''%s''', coalesce(step.local ->> 'whenExhausted', 'fail')),
          format('''%s''', coalesce(step.db ->> 'whenExhausted', 'fail'))),
      (5, 'requiredInputPattern differs',
          format('''%s''', coalesce(step.local -> 'requiredInputPattern', '{"defined": false}')),
          format('''%s''', coalesce(step.db -> 'requiredInputPattern', '{"defined": false}'))),
      (6, 'forbiddenInputPattern differs',
          format('''%s''', coalesce(step.local -> 'forbiddenInputPattern', '{"defined": false}')),
          format('''%s''', coalesce(step.db -> 'forbiddenInputPattern', '{"defined": false}')))
    ) as property (rank, label, local, db)
    cross join lateral (
      select property.rank, format('%s %s vs %s', property.label, property.local, property.db)) as description (rank, text)
    where step.local is not null and step.db is not null and property.local <> property.db
    union all
    select step.index, 0,
      case when step.local is null then format('missing in first shape (second has ''%s'')', step.db ->> 'slug')
           else format('missing in second shape (first has ''%s'')', step.local ->> 'slug') end
    from step
    where step.local is null or step.db is null
  )
  select
    case when count.local <> count.db then array[format('Step count differs: %s vs %s', count.local, count.db)]
         else '{}'::text[] end
    || coalesce((
      select array_agg(
        format('Step at index %s: %s', difference.index, difference.text) order by difference.index, difference.rank)
      from difference), '{}')
  from (select count(step.local) as local, count(step.db) as db from step) count
$$;

-- Creates a flow with the steps and options of a shape. A missing option has its default.
create function pgflow._create_flow_from_shape(p_flow_slug text, p_shape jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgflow.create_flow(
    p_flow_slug,
    (p_shape #>> '{options,maxAttempts}')::integer,
    (p_shape #>> '{options,baseDelay}')::integer,
    (p_shape #>> '{options,timeout}')::integer
  );

  -- OFFSET 0 makes the subquery return the steps in order before any of them is added: dependencies come first.
  perform pgflow.add_step(
    p_flow_slug,
    step ->> 'slug',
    array(select jsonb_array_elements_text(step -> 'dependencies')),
    (step #>> '{options,maxAttempts}')::integer,
    (step #>> '{options,baseDelay}')::integer,
    (step #>> '{options,timeout}')::integer,
    (step #>> '{options,startDelay}')::integer,
    coalesce(step ->> 'stepType', 'single'),
    case when (step #>> '{requiredInputPattern,defined}')::boolean then step #> '{requiredInputPattern,value}' end,
    case when (step #>> '{forbiddenInputPattern,defined}')::boolean then step #> '{forbiddenInputPattern,value}' end,
    coalesce(step ->> 'whenUnmet', 'skip'),
    coalesce(step ->> 'whenExhausted', 'fail')
  )
  from (
    select element.step from jsonb_array_elements(p_shape -> 'steps') with ordinality as element (step, index)
    order by element.index offset 0
  ) ordered;
end
$$;

-- Makes a flow have a shape, and returns the differences and the status: 'compiled' if the flow was created, 'verified'
-- if it had the shape, 'recompiled' if it was deleted with its data and created again (in a local database, or if data
-- loss is allowed), and 'mismatch' if it was left unchanged.
create function pgflow.ensure_flow_compiled(flow_slug text, shape jsonb, allow_data_loss boolean default false) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  differences text[] := '{}';
  status      text;
begin
  perform pg_advisory_xact_lock(hashtextextended('pgflow.ensure_flow_compiled ' || ensure_flow_compiled.flow_slug, 0));

  if not exists (select from pgflow.flows flow where flow.flow_slug = ensure_flow_compiled.flow_slug) then
    status := 'compiled';
  else
    differences := pgflow._compare_flow_shapes(shape, pgflow._get_flow_shape(ensure_flow_compiled.flow_slug));
    status := case
      when differences = '{}' then 'verified'
      when allow_data_loss or pgflow.is_local() then 'recompiled'
      else 'mismatch'
    end;
  end if;

  if status = 'recompiled' then
    perform pgflow.delete_flow_and_data(ensure_flow_compiled.flow_slug);
  end if;
  if status in ('compiled', 'recompiled') then
    perform pgflow._create_flow_from_shape(ensure_flow_compiled.flow_slug, shape);
  end if;
  return jsonb_build_object('status', status, 'differences', to_jsonb(differences));
end
$$;


