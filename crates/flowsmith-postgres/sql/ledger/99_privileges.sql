-- --- Privileges -------------------------------------------------------------------------------------------------------

-- These functions run with the privileges of their owner, so that a role which may call them needs no privileges on tables. An
-- official engine can have another owner, whose code they must not run.
do $$
begin
  if pg_catalog.to_regclass('flowsmith.engine') is not null then
    alter function flowsmith.start_flow(text, jsonb, uuid) security definer;
    alter function flowsmith.begin_migration(text) security definer;
    alter function flowsmith.create_flows(text) security definer;
    alter function flowsmith.reset_flows(text) security definer;
    alter function flowsmith.drop_flows(text) security definer;
    alter function flowsmith.tune_flows(text) security definer;
    alter function flowsmith.end_migration(text) security definer;
    alter function flowsmith.fire_schedule(text, text, timestamptz) security definer;
    alter function flowsmith.fire_table_trigger(text, text, jsonb) security definer;
    alter function flowsmith.consume_event(text, text, text, bigint, bigint, jsonb) security definer;
    alter function flowsmith.discard_event(text, text, text, bigint, bigint, jsonb, text) security definer;
    alter function flowsmith.cancel_run(uuid, text) security definer;
    alter function flowsmith.retry_run(uuid) security definer;
    alter function flowsmith.pause_flow(text) security definer;
    alter function flowsmith.resume_flow(text) security definer;
    alter function flowsmith.prune_runs(interval, text, integer) security definer;
    alter function flowsmith.requeue_stalled_tasks() security definer;
  end if;
end
$$;

-- `flowsmith install --grants` grants privileges to the roles that need them. Default privileges may have granted some to
-- PUBLIC.
revoke all on all functions in schema flowsmith from public;
revoke all on all tables in schema flowsmith from public;
revoke all on all sequences in schema flowsmith from public;
