-- Privileges
-- ==========

-- By default, PUBLIC may execute a new function and use a new type. Default privileges may have granted more.
revoke all on schema pgflow from public;
revoke all on all functions in schema pgflow from public;
revoke all on all tables in schema pgflow from public;
revoke all on type pgflow.step_task_record from public;
