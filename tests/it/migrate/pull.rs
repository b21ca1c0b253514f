//! `flowsmith pull` writes files that equal the flows of a database.

use flowsmith_core::catalog::{Catalog, Flow};
use flowsmith_core::migration::{CompileSettings, compile};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::{Project, flowsmith_engine, official_engine};
use crate::migrate::pipeline::{Engine, without_conditions};
use crate::shared::catalogs;

/// Asserts that files, migrations and database agree after a pull.
fn all_agree(project: &Project) {
    let check = project.run(&["check"]);
    assert_eq!(check.code, 0, "{check}");
    for command in [&["plan"][..], &["compile", "--check"], &["drift"], &["status"]] {
        project.succeeds(command);
    }
    let again = project.succeeds(&["pull"]);
    assert!(again.stderr.contains("Nothing to pull"), "{again}");
}

/// Creates the flows of a catalog and deletes their records.
async fn made_by_hand(database: &Database, catalog: &Catalog) {
    let settings = CompileSettings::new("20260101000000".parse().unwrap());
    let mut c = database.connect().await;
    for migration in compile(&Catalog::new(), catalog.clone(), &settings).unwrap().migrations {
        sqlx::raw_sql(AssertSqlSafe(migration.content)).execute(&mut c).await.unwrap();
    }
    execute(&mut c, "truncate flowsmith.flow_versions, flowsmith.migrations").await;
}

/// Removes conditions that can never be true, which `check` refuses: those of a root step next to one that maps the input,
/// those on steps that are not dependencies, and two that exclude each other. Removes triggers, which only recorded flows have.
fn sensible(catalog: &Catalog) -> Catalog {
    let clean = |flow: &Flow| {
        let mut flow = flow.clone();
        // Flows without a record have none.
        flow.triggers.clear();
        for step in &mut flow.steps {
            let fit = |pattern: Option<Value>| match step.depends_on.first() {
                Some(dependency) => pattern.map(|pattern| json!({ dependency: pattern })),
                None => None,
            };
            step.required_input_pattern = fit(step.required_input_pattern.take());
            let forbidden = fit(step.forbidden_input_pattern.take());
            step.forbidden_input_pattern = forbidden.filter(|_| step.required_input_pattern.is_none());
        }
        flow
    };
    catalog.iter().map(|(_, flow)| clean(flow)).collect()
}

#[tokio::test]
async fn pulled_files_equal_any_catalog() {
    pull_random_catalogs(2).await;
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn pulled_files_equal_fifty_catalogs() {
    pull_random_catalogs(50).await;
}

async fn pull_random_catalogs(count: usize) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..count {
        let drawn = sensible(&catalogs::catalog().new_tree(&mut runner).unwrap().current());
        for engine in [Engine::Ours, Engine::Official] {
            let catalog = if engine == Engine::Ours { drawn.clone() } else { without_conditions(&drawn) };
            let database = engine.database().await;
            made_by_hand(&database, &catalog).await;
            let project = Project::on(&database);
            project.succeeds(&["pull"]);
            all_agree(&project);
        }
    }
}

#[tokio::test]
async fn pulled_names_are_quoted_if_yaml_would_misread_them() {
    let names =
        ["null", "yes", "on", "true", "No", "y", "_", "__", "e1", "Infinity", "nan", "NULL", "inf", "_1", "o8", "x0"];
    for database in [flowsmith_engine().await, official_engine().await] {
        let mut c = database.connect().await;
        for name in names.iter().filter(|name| **name != "NULL") {
            execute(&mut c, &format!("select pgflow.create_flow('{name}'); select pgflow.add_step('{name}', 'first')"))
                .await;
            for step in names {
                execute(&mut c, &format!("select pgflow.add_step('{name}', '{step}', '{{first}}')")).await;
            }
        }
        let project = Project::on(&database);
        project.succeeds(&["pull"]);
        all_agree(&project);
    }
}

#[tokio::test]
async fn manually_created_versions_are_pulled_as_versions() {
    let database = official_engine().await;
    let mut c = database.connect().await;
    execute(&mut c, "select pgflow.create_flow(s), pgflow.add_step(s, 'load') from unnest(array['order', 'order_v2', 'lone_v2', 'order_v02']) s").await;
    let project = Project::on(&database);
    project.succeeds(&["pull"]);
    assert!(project.read("flows/order_v2.yaml").starts_with("flow: order\nversion: 2\n"));
    assert!(project.read("flows/lone_v2.yaml").starts_with("flow: lone_v2\n"));
    all_agree(&project);
    assert_eq!(text(&mut c, "(select flow_slug from flowsmith.start_flow('order', '{}'))").await.unwrap(), "order_v2");
}

#[tokio::test]
async fn existing_files_are_not_overwritten_without_force() {
    let database = flowsmith_engine().await;
    let mut c = database.connect().await;
    execute(&mut c, "select pgflow.create_flow('order', timeout => 99); select pgflow.add_step('order', 'load')").await;
    let project = Project::on(&database);
    project.flow("order", "", "  mine: {}");
    let before = project.read("flows/order.yaml");
    let refused = project.exits_with(5, &["pull"]);
    assert!(
        refused.contains("FS826") && refused.contains("flows/order.yaml") && refused.contains("--overwrite"),
        "{refused}"
    );
    assert_eq!(project.read("flows/order.yaml"), before);
    assert!(project.migrations().is_empty());
    assert_eq!(text(&mut c, "(select count(*) from flowsmith.migrations)").await.unwrap(), "0");
    project.succeeds(&["pull", "--overwrite"]);
    assert!(project.read("flows/order.yaml").contains("timeout: 99"));
    all_agree(&project);
}

#[tokio::test]
async fn files_only_records_no_migration() {
    let database = official_engine().await;
    let mut c = database.connect().await;
    execute(
        &mut c,
        "drop schema flowsmith cascade; select pgflow.create_flow('order'); select pgflow.add_step('order', 'load')",
    )
    .await;
    let project = Project::on(&database);
    assert!(project.exits_with(1, &["pull"]).contains("FS919"));
    project.succeeds(&["pull", "--files-only"]);
    assert!(project.migrations().is_empty());
    assert_eq!(text(&mut c, "to_regnamespace('flowsmith')").await, None);
    project.succeeds(&["install"]);
    let plan = project.exits_with(2, &["plan"]);
    assert!(plan.contains("unmanaged → current"), "{plan}");
}

#[tokio::test]
async fn flows_that_fail_the_check_are_not_adopted() {
    let never = r#"select pgflow.create_flow('odd'), pgflow.add_step('odd', 'first');
        select pgflow.add_step('odd', 'second', array['first'], required_input_pattern => '{"third": 1}')"#;
    for (sql, finding) in [("select pgflow.create_flow('odd')", "FS308"), (never, "FS402")] {
        let database = flowsmith_engine().await;
        let mut c = database.connect().await;
        execute(&mut c, "select pgflow.create_flow('well'), pgflow.add_step('well', 'first')").await;
        execute(&mut c, sql).await;
        let project = Project::on(&database);
        std::fs::remove_dir(project.path("flows")).unwrap();
        for command in [&["pull"][..], &["pull", "--overwrite"], &["pull", "--files-only"]] {
            let refused = project.run(command);
            assert!(refused.code == 5 && refused.all_output().contains(&format!("error[{finding}]")), "{refused}");
            assert!(
                refused.stderr.contains("error[FS831]") && refused.stderr.contains("`flowsmith check`: odd\n"),
                "{refused}"
            );
            assert!(refused.stderr.contains("`ignore = [\"odd\"]` in flowsmith.toml"), "{refused}");
            assert!(!project.path("flows").exists() && project.migrations().is_empty());
            assert_eq!(text(&mut c, "(select count(*) from flowsmith.migrations)").await.unwrap(), "0");
        }
        // The advice works.
        project.write("flowsmith.toml", "ignore = [\"odd\"]\n");
        project.succeeds(&["pull"]);
        all_agree(&project);
        assert!(!project.path("flows/odd.yaml").exists());
        if finding == "FS308" {
            std::fs::remove_file(project.path("flowsmith.toml")).unwrap();
            execute(&mut c, "select pgflow.add_step('odd', 'first')").await;
            project.succeeds(&["pull"]);
            all_agree(&project);
            assert!(project.path("flows/odd.yaml").exists());
        }
    }
}
