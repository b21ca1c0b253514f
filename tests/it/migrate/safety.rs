//! Changes that the plan and the database refuse, because they would contradict a run.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::{Project, flowsmith_engine, official_engine, psql};

const ORDER: &str = "  load: {}\n  charge: { depends_on: [load], timeout: 30 }";
const LONGER: &str = "  load: {}\n  charge: { depends_on: [load], timeout: 30 }\n  mail: { depends_on: [charge] }";
const STEPS: &str =
    "(select string_agg(step_slug, ' ' order by step_index) from pgflow.steps where flow_slug = 'order')";

/// A database with the applied flow `order`, and its project.
async fn with_order(database: &Database) -> (Project, PgConnection) {
    let project = Project::on(database);
    project.flow("order", "", ORDER);
    project.compile();
    project.succeeds(&["apply"]);
    (project, database.connect().await)
}

async fn run_of_order(connection: &mut PgConnection, status: &str) {
    let sql = format!("insert into pgflow.runs (flow_slug, input, status) values ('order', '{{}}', '{status}')");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

#[tokio::test]
async fn replacing_steps_is_refused_if_the_flow_has_runs() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let (project, mut c) = with_order(&database).await;
        run_of_order(&mut c, "started").await;
        run_of_order(&mut c, "failed").await;
        project.flow("order", "", LONGER);
        let file = project.compile();

        let plan = project.exits_with(5, &["plan"]);
        assert!(
            plan.contains("[replace]") && plan.contains("refused: 2 runs of this version exist (1 running)"),
            "{plan}"
        );
        assert!(plan.contains("1 change, 1 of them refused."), "{plan}");
        let json: serde_json::Value = serde_json::from_str(&project.run(&["plan", "--format", "json"]).stdout).unwrap();
        assert_eq!(json["refused"], true);
        assert_eq!(json["changes"][0]["runs"], serde_json::json!({ "started": 1, "total": 2 }));
        assert_eq!(json["changes"][0]["hazards"][0]["name"], "replaced-under-runs");

        let refused = project.exits_with(5, &["apply"]);
        assert!(refused.contains("FS910") && refused.contains("flow order has 2 run(s)"), "{refused}");
        assert!(refused.contains("help: Raise `version:` in the flow file"), "{refused}");
        let refused = psql(&database, &project.path("migrations").join(&file)).unwrap_err();
        assert!(refused.contains("FL002") && refused.contains("HINT:  Raise `version:`"), "{refused}");
        assert_eq!(text(&mut c, STEPS).await.unwrap(), "load charge");
        assert_eq!(text(&mut c, "(select count(*) from flowsmith.migrations)").await.unwrap(), "1");
        assert!(project.succeeds(&["drift"]).stdout.contains("None"));

        execute(&mut c, "delete from pgflow.runs").await;
        project.succeeds(&["apply"]);
        assert_eq!(text(&mut c, STEPS).await.unwrap(), "load charge mail");
        project.succeeds(&["plan"]);
    }
}

#[test]
fn compile_warns_about_changes_that_runs_block() {
    let project = Project::new();
    project.flow("order", "", "  load: {}");
    assert!(!project.succeeds(&["compile"]).all_output().contains("note"));
    project.flow("order", "", "  load: {}\n  send: { depends_on: [load] }");
    for command in [&["compile", "--check"][..], &["compile"]] {
        let output = project.run(command).stdout;
        assert!(output.contains("note: [replace] ") && output.contains("order@1 has runs"), "{output}");
        assert!(output.contains("`version: 2` in the flow file"), "{output}");
    }
    // The advice works.
    std::fs::remove_file(project.path(&format!("migrations/{}", project.migrations()[1]))).unwrap();
    project.succeeds(&["compile", "--rehash"]);
    project.flow("order", "version: 2", "  load: {}\n  send: { depends_on: [load] }");
    let output = project.succeeds(&["compile"]).stdout;
    assert!(output.contains("order@2") && !output.contains("note"), "{output}");
}

#[tokio::test]
async fn replacing_steps_blocks_run_starts() {
    let database = flowsmith_engine().await;
    let (project, mut c) = with_order(&database).await;
    project.flow("order", "", LONGER);
    project.compile();
    // A run that is not committed when the migration checks for runs.
    execute(&mut c, "begin").await;
    run_of_order(&mut c, "started").await;
    let mut apply = project.start(&["apply"]);
    wait_until(&database, "exists (select from pg_stat_activity where application_name = 'flowsmith' and wait_event_type = 'Lock' and datname = current_database())").await;
    execute(&mut c, "commit").await;
    assert_eq!(apply.wait().unwrap().code(), Some(5));
    assert_eq!(text(&mut c, STEPS).await.unwrap(), "load charge");
}

/// Polls until a condition is true.
pub(crate) async fn wait_until(database: &Database, condition: &str) {
    let mut connection = database.connect().await;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while text(&mut connection, condition).await.as_deref() != Some("true") {
        assert!(std::time::Instant::now() < end, "never true: {condition}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn deleting_a_flow_is_refused_if_it_has_started_runs() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let (project, mut c) = with_order(&database).await;
        run_of_order(&mut c, "started").await;
        let wanted = project.exits_with(5, &["compile", "--delete", "order@1"]);
        assert!(
            wanted.contains("FS813") && wanted.contains("cannot delete order@1: it is in the flow files"),
            "{wanted}"
        );
        std::fs::remove_file(project.path("flows/order.yaml")).unwrap();
        let unknown = project.exits_with(5, &["compile", "--delete", "other@1"]);
        assert!(unknown.contains("FS814"), "{unknown}");
        project.succeeds(&["compile", "--delete", "order@1"]);
        assert!(project.migrations()[1].ends_with("_delete_order.sql"));

        let plan = project.exits_with(5, &["plan"]);
        assert!(
            plan.contains("[drop]") && plan.contains("refused: 1 run still running; wait until they end"),
            "{plan}"
        );
        let refused = project.exits_with(5, &["apply"]);
        assert!(
            refused.contains("FS910") && refused.contains("1 started run(s), so it cannot be deleted"),
            "{refused}"
        );
        assert_eq!(text(&mut c, STEPS).await.unwrap(), "load charge");

        execute(&mut c, "update pgflow.runs set status = 'failed'").await;
        let plan = project.exits_with(2, &["plan"]);
        assert!(plan.contains("1 run deleted with the flow, including their outputs"), "{plan}");
        project.succeeds(&["apply"]);
        let left = "(select count(*) from pgflow.flows) + (select count(*) from pgflow.runs) + (select count(*) from pgmq.meta where queue_name = 'order')";
        assert_eq!(text(&mut c, left).await.unwrap(), "0");
        project.succeeds(&["plan"]);
        project.succeeds(&["drift"]);
    }
}

#[tokio::test]
async fn options_can_be_tuned_during_a_run() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let (project, mut c) = with_order(&database).await;
        run_of_order(&mut c, "started").await;
        project.flow("order", "defaults: { max_attempts: 9 }", &ORDER.replace("30", "45"));
        project.compile();
        let plan = project.exits_with(2, &["plan"]);
        assert!(
            plan.contains("[tune]") && plan.contains("1 run still running: their next tasks use the new values"),
            "{plan}"
        );
        project.succeeds(&["apply"]);
        assert_eq!(text(&mut c, "(select opt_max_attempts from pgflow.flows)").await.unwrap(), "9");
        assert_eq!(
            text(&mut c, "(select opt_timeout from pgflow.steps where step_slug = 'charge')").await.unwrap(),
            "45"
        );
    }
}

#[tokio::test]
async fn existing_flow_with_other_steps_is_not_overwritten() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let mut c = database.connect().await;
        execute(&mut c, "select pgflow.create_flow('order', timeout => 99); select pgflow.add_step('order', 'load'); select pgflow.add_step('order', 'other')").await;
        let project = Project::on(&database);
        project.flow("order", "", ORDER);
        project.flow("another", "", "  one: {}");
        project.compile();
        let refused = project.exits_with(5, &["apply"]);
        assert!(refused.contains("FS911"), "{refused}");
        for part in ["order: timeout is 99, expected 60", "order: step other is unexpected", "pull"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        assert!(
            refused.contains("order: step charge is missing")
                || refused.contains("order: step charge position is 3, expected 2"),
            "{refused}"
        );
        let held = text(
            &mut c,
            "(select string_agg(flow_slug || ' ' || step_slug, ', ' order by step_index) from pgflow.steps)",
        )
        .await;
        assert_eq!(held.unwrap(), "order load, order other", "nothing is half applied");
        assert_eq!(text(&mut c, "(select count(*) from flowsmith.flow_versions)").await.unwrap(), "0");
    }
}

#[tokio::test]
async fn start_flow_starts_the_current_version() {
    let database = official_engine().await;
    let (project, mut c) = with_order(&database).await;
    let start = "(select flow_slug from flowsmith.start_flow('order', '{\"id\": 1}'))";
    assert_eq!(text(&mut c, start).await.unwrap(), "order");
    project.flow("order", "version: 2", LONGER);
    project.compile();
    let plan = project.exits_with(2, &["plan"]);
    assert!(plan.contains("1 run still running: keep workers on its queue until they end"), "{plan}");
    project.succeeds(&["apply"]);
    assert_eq!(text(&mut c, start).await.unwrap(), "order_v2");
    let runs = text(&mut c, "(select string_agg(flow_slug || ' ' || status || ' ' || remaining_steps, ', ' order by flow_slug) from pgflow.runs)").await;
    assert_eq!(runs.unwrap(), "order started 2, order_v2 started 3", "the run of the old version goes on as it was");
    project.succeeds(&["drift"]);
}

#[tokio::test]
async fn retired_flow_cannot_be_started() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let (project, mut c) = with_order(&database).await;
        run_of_order(&mut c, "started").await;
        std::fs::remove_file(project.path("flows/order.yaml")).unwrap();
        project.compile();
        assert!(project.migrations()[1].ends_with("_retire_order.sql"));
        project.succeeds(&["apply"]);
        let error = sqlx::raw_sql("select flowsmith.start_flow('order', '{}')").execute(&mut c).await.unwrap_err();
        assert!(error.to_string().contains("flow order has no current version"), "{error}");
        let error = sqlx::raw_sql("select flowsmith.start_flow('never', '{}')").execute(&mut c).await.unwrap_err();
        assert!(error.to_string().contains("flow never has no current version"), "{error}");
        assert_eq!(text(&mut c, STEPS).await.unwrap(), "load charge", "kept for the run that is not over");
    }
}
