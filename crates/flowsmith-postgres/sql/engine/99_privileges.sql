-- Privileges
-- ==========

-- PUBLIC may execute a new function by default.
revoke execute on all functions in schema pgflow from public;
