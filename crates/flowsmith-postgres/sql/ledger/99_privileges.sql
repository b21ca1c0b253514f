-- --- Privileges -------------------------------------------------------------------------------------------------------

-- An official engine can have another owner.
do $$
begin
  if pg_catalog.to_regclass('flowsmith.engine') is not null then
    alter function flowsmith.start_flow(text, jsonb, uuid) security definer;
    alter function flowsmith.reset_flow(text) security definer;
    alter function flowsmith.drop_flow(text) security definer;
    alter function flowsmith.fire_schedule(text, text, timestamptz) security definer;
    alter function flowsmith.fire_table_trigger(text, text, jsonb) security definer;
    alter function flowsmith.consume_event(text, text, text, bigint, bigint, jsonb) security definer;
    alter function flowsmith.discard_event(text, text, text, bigint, bigint, jsonb, text) security definer;
  end if;
end
$$;

-- `flowsmith install --grants` grants EXECUTE to the roles that need it.
revoke all on all functions in schema flowsmith from public;
