//! The script of `install --print`, run by other tools: it does not depend on the settings of the session, and leaves them as
//! they were.

use std::io::Write as _;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::{Project, flowsmith_engine, psql_command};

/// An empty database with pgmq, and the script with roles.
async fn script() -> (Database, String) {
    // The database has everything but the schemas that the script creates.
    let database = flowsmith_engine().await;
    execute(&mut database.connect().await, "drop schema pgflow, flowsmith, flowsmith_triggers cascade").await;
    let name = text(&mut database.connect().await, "current_database()").await.unwrap();
    let script = Project::on(&database).succeeds(&["install", "--print", "--grants", "--role-prefix", &name]).stdout;
    (database, script)
}

fn psql(database: &Database, script: &str, arguments: &[&str]) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(script.as_bytes()).unwrap();
    let mut command = psql_command();
    let output = command.args(["-X", "-q"]).args(arguments).arg("-f").arg(file.path()).arg(database.url()).output();
    String::from_utf8(output.unwrap().stderr).unwrap()
}

async fn drop_roles(database: &Database) {
    let c = &mut database.connect().await;
    let name = text(c, "current_database()").await.unwrap();
    let roles = format!("{name}_deployer, {name}_worker, {name}_client");
    execute(c, &format!("drop owned by {roles}; drop role {roles}")).await;
}

#[tokio::test]
async fn script_restores_the_settings_of_its_transaction() {
    let (database, script) = script().await;
    let c = &mut database.connect().await;
    // As a migration tool does: its own table is not qualified, and follows in the same transaction.
    let settings = "concat_ws(' ', current_setting('search_path'), current_setting('check_function_bodies'), \
                    current_setting('transform_null_equals'), current_setting('quote_all_identifiers'))";
    execute(c, "create schema tool; set search_path = tool, public; set check_function_bodies = off").await;
    execute(c, "set transform_null_equals = on; set quote_all_identifiers = on").await;
    let before = text(c, settings).await;
    execute(c, &format!("begin; {script} create table migrations (version bigint)")).await;
    assert_eq!(text(c, settings).await, before);
    assert_eq!(text(c, "'tool.migrations'::regclass").await.as_deref(), Some("\"migrations\""));
    execute(c, "commit").await;
    assert_eq!(text(c, settings).await, before);
    drop_roles(&database).await;
}

#[tokio::test]
async fn script_outside_of_a_transaction_does_nothing() {
    let (database, script) = script().await;
    let c = &mut database.connect().await;
    execute(
        c,
        "create table public.calls (name text);
         create function public.format(text, text, text) returns text language plpgsql as
           $$ begin insert into public.calls values ('format'); return $1; end $$;
         create function public.array_to_string(text[], text) returns text language plpgsql as
           $$ begin insert into public.calls values ('array_to_string'); return $2; end $$",
    )
    .await;
    for arguments in [&["-v", "ON_ERROR_STOP=1"][..], &[]] {
        let errors = psql(&database, &script, arguments);
        assert!(errors.contains("flowsmith: this script does not run in one transaction"), "{errors}");
        assert!(errors.contains("psql -X -1"), "{errors}");
        assert_eq!(text(c, "(select count(*) from public.calls)").await.as_deref(), Some("0"));
        assert_eq!(
            text(c, "concat(to_regnamespace('pgflow'), to_regnamespace('flowsmith'))").await.as_deref(),
            Some("")
        );
    }
    let errors = psql(&database, &script, &["-1", "-v", "ON_ERROR_STOP=1"]);
    assert!(!errors.contains("ERROR"), "{errors}");
    drop_roles(&database).await;
}

#[tokio::test]
async fn script_runs_under_any_settings() {
    let (database, script) = script().await;
    let c = &mut database.connect().await;
    execute(c, "create domain public.text as pg_catalog.text check (false)").await;
    let settings =
        "set search_path = public, pg_catalog; set standard_conforming_strings = off; set row_security = off;
                    set quote_all_identifiers = on; set plpgsql.extra_errors = 'all'; set check_function_bodies = off;";
    let errors = psql(&database, &format!("{settings}\n{script}"), &["-1", "-v", "ON_ERROR_STOP=1"]);
    assert!(!errors.contains("ERROR"), "{errors}");
    let doctor = Project::on(&database).succeeds(&["doctor"]).stdout;
    assert!(doctor.contains("as installed"), "{doctor}");
    drop_roles(&database).await;
}
