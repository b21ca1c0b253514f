-- Settings
-- ========

-- Returns the form in which start_tasks builds the input of a single step: 'separate' for the outputs of its
-- dependencies (level 0.14), 'merged' for these and the run's input under the key `run` (levels 0.7 and 0.8). The
-- setting is a constant in a function because the planner can inline it. The install replaces the function if the user
-- chooses 'merged'.
create function pgflow.input_style() returns text
language sql immutable parallel safe
return 'separate'::text;

-- Returns whether events are sent. PostgreSQL serializes the commits of transactions that have sent a notification, so
-- a database without listeners has a higher throughput with events disabled:
--
--   alter database ... set pgflow.events = off
--
-- Callers test this before they build the payload of an event, which costs more than the test. The planner inlines the
-- function.
create function pgflow._events_enabled() returns boolean
language sql stable parallel safe
return current_setting('pgflow.events', true) is distinct from 'off';

-- Returns whether this is a local development database. Every local Supabase has this JWT secret, and no other database
-- does.
create function pgflow.is_local() returns boolean
language sql stable parallel safe
return coalesce(
  current_setting('app.settings.jwt_secret', true) = 'super-secret-jwt-token-with-at-least-32-characters-long',
  false
);

-- Returns the seconds to wait before the next attempt: base_delay, doubled for each attempt made, at most the largest
-- integer. Null if an argument is null. The exponent is limited to 200, at which any delay except 0 already exceeds
-- that integer.
create function pgflow.calculate_retry_delay(base_delay numeric, attempts_count integer) returns integer
language sql immutable parallel safe
return case when base_delay is not null and attempts_count is not null then
  least(floor(base_delay * power(2::numeric, least(attempts_count, 200)::numeric)), 2147483647)::integer end;


