//! Every kind of drift is detected, reported in every format and repaired; read-only commands write nothing.

use serde_json::Value;
use sqlx::PgConnection;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::{Project, flowsmith_engine, official_engine};

/// A database with two applied flows.
async fn in_sync(database: &Database) -> (Project, PgConnection) {
    let project = Project::on(database);
    project.flow("order", "description: Paid | shipped", "  load: {}\n  send: { depends_on: [load] }");
    project.flow("signup", "", "  ask: {}");
    project.compile();
    project.succeeds(&["apply"]);
    (project, database.connect().await)
}

#[tokio::test]
async fn every_kind_of_drift_is_detected_and_repaired() {
    every_kind_of_drift(async || flowsmith_engine().await).await;
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn every_kind_of_drift_is_detected_and_repaired_on_an_official_engine() {
    every_kind_of_drift(async || official_engine().await).await;
}

async fn every_kind_of_drift(engine: impl AsyncFn() -> Database) {
    let kinds = [
        ("update pgflow.flows set opt_timeout = 61 where flow_slug = 'order'", "timeout 60 s → 61 s"),
        ("update pgflow.steps set opt_start_delay = 7 where step_slug = 'send'", "step send: start_delay none → 7 s"),
        ("update pgflow.steps set step_type = 'map' where step_slug = 'send'", "step send: single → map"),
        ("delete from pgflow.deps; delete from pgflow.steps where step_slug = 'send'", "step send removed"),
        ("select pgflow.add_step('signup', 'extra', '{ask}')", "step extra added"),
        (
            "delete from pgflow.deps; delete from pgflow.steps where flow_slug = 'order'; delete from pgflow.flows where flow_slug = 'order'",
            "deleted with its queue and its runs",
        ),
        ("select pgmq.drop_queue('signup')", "signup: the queue is missing"),
    ];
    for (sql, words) in kinds {
        let database = engine().await;
        let (project, mut c) = in_sync(&database).await;
        execute(&mut c, sql).await;
        let message = project.exits_with(3, &["drift"]);
        assert!(message.contains(words), "{words}: {message}");
        let markdown = project.exits_with(3, &["drift", "--format", "markdown"]);
        assert!(markdown.contains(words), "{words}: {markdown}");
        let json = project.run(&["drift", "--format", "json"]);
        assert_eq!(json.code, 3);
        let json: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!((&json["version"], &json["in_sync"]), (&Value::from(1), &Value::from(false)));
        assert!(project.exits_with(3, &["apply"]).contains("FS914"));
        let plan = project.exits_with(3, &["plan"]);
        assert!(plan.contains("the database has drifted from its applied migrations"), "{words}: {plan}");
        let plan: Value = serde_json::from_str(&project.run(&["plan", "--format", "json"]).stdout).unwrap();
        assert!(plan["in_sync"] == false && !plan["drift"].as_array().unwrap().is_empty(), "{words}: {plan}");

        project.succeeds(&["compile", "--from-live"]);
        let status = project.run(&["status"]);
        assert_eq!(status.code, 2, "{words}: {status}");
        project.succeeds(&["apply", "--accept-drift"]);
        project.succeeds(&["drift"]);
        project.succeeds(&["plan"]);
        project.succeeds(&["compile", "--check"]);
    }
}

#[tokio::test]
async fn drift_of_a_version_without_a_file_is_repaired() {
    drift_of_a_version_without_a_file(async || flowsmith_engine().await).await;
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn drift_of_a_version_without_a_file_is_repaired_on_an_official_engine() {
    drift_of_a_version_without_a_file(async || official_engine().await).await;
}

async fn drift_of_a_version_without_a_file(engine: impl AsyncFn() -> Database) {
    let kinds = [
        ("update pgflow.flows set opt_timeout = 77 where flow_slug = 'order_v3'", "timeout 77 s → 60 s"),
        (
            "update pgflow.steps set opt_timeout = 77 where flow_slug = 'order_v3' and step_slug = 'send'",
            "timeout 77 s →",
        ),
        ("delete from pgflow.deps where flow_slug = 'order_v3'", "depends_on none → load"),
        (
            "delete from pgflow.deps where flow_slug = 'order_v3'; delete from pgflow.steps where flow_slug = 'order_v3'; delete from pgflow.flows where flow_slug = 'order_v3'",
            "new version, 2 steps",
        ),
        ("select pgmq.drop_queue('order_v3')", "queue recreated"),
    ];
    for (sql, words) in kinds {
        let database = engine().await;
        let project = Project::on(&database);
        for version in [3, 4] {
            let steps = "  load: {}\n  send: { depends_on: [load] }";
            project.flow("order", &format!("version: {version}"), steps);
            project.compile();
        }
        project.succeeds(&["apply"]);
        execute(&mut database.connect().await, sql).await;
        let drift = project.exits_with(3, &["drift"]);
        assert!(drift.contains("order_v3") || drift.contains("order@3"), "{words}: {drift}");
        let migrations = project.migrations().len();
        let compiled = project.succeeds(&["compile", "--from-live"]).all_output();
        assert!(compiled.contains(words), "{words}: {compiled}");
        assert_eq!(project.migrations().len(), migrations + 1);
        let plan = project.exits_with(3, &["plan"]);
        assert!(!plan.contains("matches the flow files.") && plan.contains("`flowsmith drift`"), "{plan}");
        assert!(project.exits_with(3, &["apply"]).contains("FS914"));
        project.succeeds(&["apply", "--accept-drift"]);
        for command in [&["drift"][..], &["plan"], &["status"], &["compile", "--check"]] {
            project.succeeds(command);
        }
    }
}

#[tokio::test]
async fn drifted_version_can_be_deleted() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let project = Project::on(&database);
        let mut c = database.connect().await;
        for version in 1..=4 {
            project.flow("order", &format!("version: {version}"), "  load: {}\n  send: { depends_on: [load] }");
            project.compile();
        }
        project.succeeds(&["apply"]);
        let drifted = "update pgflow.flows set opt_timeout = 77 where flow_slug in ('order', 'order_v3');
            delete from pgflow.deps where flow_slug = 'order_v3'";
        execute(&mut c, drifted).await;
        // The drift of the other flow remains.
        let retire = project.run(&["retire", "order@3", "--yes"]);
        assert!(retire.code == 3 && retire.stderr.contains("FS914"), "{retire}");
        assert_eq!(text(&mut c, "(select count(*) from pgflow.flows)").await.unwrap(), "4");
        project.succeeds(&["compile", "--delete", "order@1"]);
        project.exits_with(3, &["apply"]);
        execute(&mut c, "update pgflow.flows set opt_timeout = 60 where flow_slug = 'order_v3'").await;
        execute(&mut c, "insert into pgflow.deps (flow_slug, dep_slug, step_slug) values ('order_v3', 'load', 'send')")
            .await;
        project.succeeds(&["apply"]);
        assert!(project.migrations().pop().unwrap().ends_with("_delete_order_v1.sql"), "{:?}", project.migrations());

        execute(&mut c, "delete from pgflow.deps where flow_slug = 'order_v3'").await;
        let id = "0196b0a8-0000-7000-8000-000000000000";
        let run = format!("insert into pgflow.runs (run_id, flow_slug, input) values ('{id}', 'order_v3', '{{}}')");
        execute(&mut c, &run).await;
        assert!(project.exits_with(5, &["retire", "order@3", "--yes"]).contains("FS974"), "runs are guarded as ever");
        execute(&mut c, "delete from pgflow.runs").await;
        project.succeeds(&["retire", "order@3", "--yes"]);
        // Both at once.
        execute(&mut c, "update pgflow.flows set opt_timeout = 77 where flow_slug = 'order_v2'").await;
        project.succeeds(&["compile", "--from-live", "--delete", "order@2"]);
        project.succeeds(&["apply"]);
        assert_eq!(text(&mut c, "(select string_agg(flow_slug, ' ') from pgflow.flows)").await.unwrap(), "order_v4");
        project.succeeds(&["drift"]);
        project.succeeds(&["compile", "--check"]);
    }
}

#[tokio::test]
async fn manually_created_flows_are_reported_and_do_not_block() {
    let database = flowsmith_engine().await;
    let (project, mut c) = in_sync(&database).await;
    execute(&mut c, "select pgflow.create_flow('legacy_mail'); select pgflow.add_step('legacy_mail', 'send')").await;
    let drift = project.exits_with(3, &["drift"]);
    assert!(
        drift.contains("legacy_mail was not created by a migration") && drift.contains("flowsmith pull"),
        "{drift}"
    );
    let plan = project.exits_with(0, &["plan"]);
    assert!(plan.contains("Unmanaged, left unchanged: legacy_mail"), "{plan}");
    assert!(!plan.contains("matches the flow files.") && plan.contains("`flowsmith drift`"), "{plan}");
    project.flow("another", "", "  a: {}");
    project.compile();
    project.succeeds(&["apply"]);
    project.write("flowsmith.toml", "ignore = [\"legacy_*\"]\n");
    assert!(project.succeeds(&["drift"]).stdout.contains("None"));
    assert!(!project.succeeds(&["plan"]).stdout.contains("legacy_mail"));
    assert_eq!(text(&mut c, "(select count(*) from pgflow.steps where flow_slug = 'legacy_mail')").await.unwrap(), "1");
}

#[tokio::test]
async fn manually_changed_state_is_drift() {
    let database = flowsmith_engine().await;
    let (project, mut c) = in_sync(&database).await;
    execute(&mut c, "update flowsmith.flow_versions set state = 'retired' where flow = 'order'").await;
    let drift = project.exits_with(3, &["drift"]);
    assert!(drift.contains("order@1") && drift.contains("current → retired"), "{drift}");
}

/// Every row of every table with its writing transaction, the values of all sequences, and the number of objects.
async fn everything(connection: &mut PgConnection, relations: &str) -> String {
    let rows = format!("(select string_agg(line, e'\\n' order by line) from (
        select c.oid::regclass || ': ' || query_to_xml(format('select t.ctid, t.xmin, t.* from %s t', c.oid::regclass), true, true, '')
          from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where strpos('{relations}', c.relkind::text) > 0 and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'
        union all select 'objects ' || (select count(*) from pg_class) || ' ' || (select count(*) from pg_proc)
      ) as lines (line))");
    text(connection, &rows).await.unwrap()
}

const LOOKS: [&[&str]; 6] = [
    &["plan"],
    &["plan", "--format", "json"],
    &["drift"],
    &["drift", "--format", "markdown"],
    &["status"],
    &["status", "--format", "json"],
];

#[tokio::test]
async fn read_only_commands_write_nothing() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let (project, mut c) = in_sync(&database).await;
        project.flow("order", "version: 2", "  load: {}");
        project.compile();
        project.flow("signup", "", "  ask: { timeout: 5 }");
        let before = everything(&mut c, "rS").await;
        for command in LOOKS {
            assert!([0, 2].contains(&project.run(command).code), "{command:?}");
        }
        project.exits_with(2, &["compile", "--check"]);
        assert_eq!(everything(&mut c, "rS").await, before);
        // Sequences are not rolled back.
        let before = everything(&mut c, "r").await;
        project.run(&["doctor"]);
        assert_eq!(everything(&mut c, "r").await, before, "the doctor's self-test is rolled back");
    }
}

#[tokio::test]
async fn read_only_role_can_plan_and_show_drift() {
    for (number, database) in [flowsmith_engine().await, official_engine().await].into_iter().enumerate() {
        let (project, mut c) = in_sync(&database).await;
        let role = format!("reader_{number}_{}", std::process::id());
        let grants = format!(
            "create role {role} login; alter role {role} set default_transaction_read_only = on;
             grant usage on schema pgflow, pgmq, flowsmith to {role};
             grant select on all tables in schema pgflow, flowsmith to {role}; grant select on pgmq.meta to {role}"
        );
        execute(&mut c, &grants).await;
        let url = database.url().replace("user=postgres", &format!("user={role}"));
        for command in LOOKS {
            let outcome = project.command(command).env("DATABASE_URL", &url).output().unwrap();
            let message = String::from_utf8_lossy(&outcome.stderr).into_owned();
            assert_eq!(outcome.status.code(), Some(0), "{command:?}: {message}");
        }
        let doctor = project.command(&["doctor"]).env("DATABASE_URL", &url).output().unwrap();
        assert!(!doctor.stdout.is_empty(), "{}", String::from_utf8_lossy(&doctor.stderr));
        project.flow("new", "", "  a: {}");
        project.compile();
        let refused = project.command(&["apply"]).env("DATABASE_URL", &url).output().unwrap();
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{message}");
        assert!(message.contains("FS905") || message.contains("FS912"), "{message}");
    }
}

#[tokio::test]
async fn markdown_escapes_table_cells() {
    let database = flowsmith_engine().await;
    let (project, _) = in_sync(&database).await;
    project.flow(
        "order",
        "description: \"a | b\\n<script>\"",
        "  load: {}\n  send: { depends_on: [load], timeout: 5 }",
    );
    let markdown = project.exits_with(2, &["plan", "--format", "markdown"]);
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 3, "{markdown}");
    assert!(rows.iter().all(|row| row.matches('|').count() - row.matches("\\|").count() == 6), "{markdown}");
}
