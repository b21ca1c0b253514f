-- The flowsmith schema, version 2: doors, so that a role can be let do one thing without the rights on the tables behind it.
--
-- start_flow, reset_flow and drop_flow run with the rights of their owner from now on, where the engine is flowsmith's.
-- Each checks what it is asked before it does it: only a current version is started, only a flow without a run is reset,
-- only one without a started run is dropped. Whoever is granted EXECUTE may do just that; PUBLIC is not.
-- `flowsmith install --grants` grants it.
--
-- Every function gets pg_temp as the last schema to look in. An empty search_path has it first, for the names of types:
-- a caller's own pg_temp.text would then run the caller's code with the rights of the owner.
--
-- Runs on PostgreSQL 14 to 18. Idempotent.

-- An official engine may have another owner, and looks in pg_temp first.
do $$
begin
  if pg_catalog.to_regclass('flowsmith.engine') is not null then
    alter function flowsmith.start_flow(text, jsonb, uuid) security definer;
    alter function flowsmith.reset_flow(text) security definer;
    alter function flowsmith.drop_flow(text) security definer;
  end if;
end
$$;

alter function flowsmith.refuse_change() set search_path = pg_catalog, pg_temp;
alter function flowsmith.lock_key() set search_path = pg_catalog, pg_temp;
alter function flowsmith.database_slug(text, int) set search_path = pg_catalog, pg_temp;
alter function flowsmith.has_conditions() set search_path = pg_catalog, pg_temp;
alter function flowsmith.differences(text[]) set search_path = pg_catalog, pg_temp;
alter function flowsmith.hold(text[]) set search_path = pg_catalog, pg_temp;
alter function flowsmith.meant_steps(text[]) set search_path = pg_catalog, pg_temp;
alter function flowsmith.begin_migration(text, text, jsonb) set search_path = pg_catalog, pg_temp;
alter function flowsmith.create_flows(jsonb) set search_path = pg_catalog, pg_temp;
alter function flowsmith.planned_states(jsonb) set search_path = pg_catalog, pg_temp;
alter function flowsmith.end_migration(text, text, jsonb) set search_path = pg_catalog, pg_temp;
alter function flowsmith.reset_flow(text) set search_path = pg_catalog, pg_temp;
alter function flowsmith.drop_flow(text) set search_path = pg_catalog, pg_temp;
alter function flowsmith.start_flow(text, jsonb, uuid) set search_path = pg_catalog, pg_temp;
