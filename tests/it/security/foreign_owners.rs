//! A user who may create schemas and creates those on which flowsmith relies before it is installed.

use sqlx::PgConnection;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::{Project, psql};

/// A database with a role that may create schemas, and a table into which its functions write who runs them.
async fn with_intruder() -> (Database, String, PgConnection) {
    let database = Database::create().await;
    let intruder = format!("{}_intruder", database.options().get_database().unwrap());
    let c = &mut database.connect().await;
    execute(
        c,
        &format!(
            "create role {intruder} login; grant create on database {} to {intruder}",
            database.options().get_database().unwrap()
        ),
    )
    .await;
    use sqlx::ConnectOptions as _;
    let mut session = database.options().username(&intruder).connect().await.unwrap();
    execute(
        &mut session,
        "create schema probe;
         grant usage on schema probe to public;
         create table probe.calls (caller text);
         grant all on probe.calls to public;
         create function probe.call() returns void language sql as $$ insert into probe.calls values (current_user) $$",
    )
    .await;
    (database, intruder, session)
}

const PLANTED: [(&str, &str); 5] = [
    (
        "realtime",
        "create schema realtime;
         create function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
         language plpgsql as $$ begin perform probe.call(); /* pgflow_events */ end $$",
    ),
    (
        "pgmq",
        "create schema pgmq;
         create table pgmq.meta (queue_name varchar unique not null, is_partitioned bool not null, is_unlogged bool not null,
           created_at timestamptz default now() not null);
         create function pgmq.create(queue_name text) returns void language plpgsql as $$ begin perform probe.call(); end $$",
    ),
    (
        "pgflow",
        "create schema pgflow;
         create function pgflow.input_style() returns text language plpgsql as $$ begin perform probe.call(); return ''; end $$",
    ),
    (
        "flowsmith",
        "create schema flowsmith;
         create function flowsmith.flows_match(a text[]) returns boolean language plpgsql as $$ begin perform probe.call(); return true; end $$",
    ),
    ("flowsmith_triggers", "create schema flowsmith_triggers"),
];

#[tokio::test]
async fn install_refuses_schemas_of_untrusted_role() {
    for (schema, planted) in PLANTED {
        let (database, intruder, mut session) = with_intruder().await;
        execute(&mut session, planted).await;
        execute(&mut session, &format!("grant usage on schema {schema} to public")).await;
        let project = Project::on(&database);
        let refused = project.exits_with(5, &["install"]);
        assert!(refused.contains("FS928"), "{refused}");
        assert!(refused.contains(&format!("schema {schema} (owned by {intruder})")), "{refused}");
        project.exits_with(5, &["install", "--grants", "--role-prefix", &intruder]);

        project.write("install.sql", &project.succeeds(&["install", "--print"]).stdout);
        let refused = psql(&database, &project.path("install.sql")).unwrap_err();
        assert!(refused.contains(&format!("schema {schema} (owned by {intruder})")), "{refused}");
        assert_eq!(text(&mut session, "(select string_agg(caller, ',') from probe.calls)").await, None, "{schema}");
        for other in ["pgflow", "flowsmith", "pgmq", "realtime"] {
            let there = text(&mut session, &format!("to_regnamespace('{other}')")).await;
            assert!(other == schema || there.is_none(), "{other} was created");
        }
    }
}

/// A role may own the schemas if it is trusted: the owner of the database, or a role of which the installer is a member.
#[tokio::test]
async fn install_accepts_schemas_of_trusted_roles() {
    let (database, intruder, mut session) = with_intruder().await;
    execute(&mut session, "create schema realtime").await;
    let project = Project::on(&database);
    project.exits_with(5, &["install"]);
    let c = &mut database.connect().await;
    execute(c, &format!("alter database {} owner to {intruder}", database.options().get_database().unwrap())).await;
    project.succeeds(&["install"]);

    let (database, intruder, mut session) = with_intruder().await;
    execute(&mut session, "create schema realtime").await;
    let project = Project::on(&database);
    let c = &mut database.connect().await;
    execute(c, &format!("grant {intruder} to postgres")).await;
    project.succeeds(&["install"]);
    execute(c, &format!("revoke {intruder} from postgres")).await;
}

/// The owner of one function can replace it, whoever owns the schema.
#[tokio::test]
async fn every_command_refuses_objects_of_an_untrusted_role() {
    let (database, intruder, mut session) = with_intruder().await;
    let project = Project::on(&database);
    project.succeeds(&["install"]);
    project.flow("order", "", "  load: {}");
    project.compile();
    let c = &mut database.connect().await;
    for (object, other) in [
        ("function pgmq.\"create\"(queue_name text)", "function pgmq.create(text)"),
        (
            "function flowsmith.database_slug(flow text, version integer)",
            "function flowsmith.database_slug(text, integer)",
        ),
        ("table flowsmith.flow_versions", "table flowsmith.flow_versions"),
        ("type pgflow.step_task_record", "type pgflow.step_task_record"),
    ] {
        execute(c, &format!("alter {other} owner to {intruder}")).await;
        for command in ["status", "plan", "apply", "drift", "pull", "doctor", "runs", "stats", "queues"] {
            let refused = project.exits_with(5, &[command]);
            assert!(
                refused.contains("FS928") && refused.contains(&format!("{object} (owned by {intruder})")),
                "{command}: {refused}"
            );
        }
        execute(c, &format!("alter {other} owner to postgres")).await;
    }
    project.succeeds(&["apply"]);
    assert_eq!(text(&mut session, "(select string_agg(caller, ',') from probe.calls)").await, None);
}

/// Other tools own these schemas, and any role may take their names. Nothing in them is read or called unless it belongs to the
/// extension.
#[tokio::test]
async fn schemas_with_the_names_of_extensions_are_neither_used_nor_in_the_way() {
    let (database, intruder, mut session) = with_intruder().await;
    let project = Project::on(&database);
    project.succeeds(&["install"]);
    project.flow("order", "triggers: [{ name: often, cron: \"* * * * *\" }]", "  load: {}");
    project.compile();
    execute(
        &mut session,
        "create schema cron; create schema pgq; grant usage on schema cron, pgq to public;
         create view cron.job as select 1::bigint as jobid, probe.call()::text as jobname, '* * * * *'::text as schedule,
           'x'::text as command, current_database()::text as database, true as active, 'x'::text as username;
         create function pgq.get_consumer_info() returns setof text language sql as 'select probe.call()::text';
         grant select on cron.job to public",
    )
    .await;
    for command in
        [&["plan"][..], &["apply"], &["drift"], &["doctor"], &["status"], &["queues"], &["workers"], &["install"]]
    {
        let code = if command == ["plan"] { 2 } else { 0 };
        project.exits_with(code, command);
    }
    assert_eq!(text(&mut session, "(select string_agg(caller, ',') from probe.calls)").await, None, "{intruder}");
}
