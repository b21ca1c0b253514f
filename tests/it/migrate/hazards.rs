//! Hazards on the path from files to the database, each found in a review and prevented.

use sqlx::AssertSqlSafe;

use crate::engine::definitions::{execute, text};
use crate::fixture::command::{Project, flowsmith_engine, official_engine, psql};

const COUNT_PWNED: &str = "(select count(*) from pg_class where relname = 'pwned')";

#[tokio::test]
async fn previous_value_is_escaped_in_the_migration() {
    for tag in ["$calls$; end if", "$flowsmith$; --", "$plan$"] {
        let database = flowsmith_engine().await;
        let project = Project::on(&database);
        let hostile = format!("{tag}; create table public.pwned(); perform $q$;--");
        let condition = format!("  a: {{ if: {{ x: \"{hostile}\" }} }}\n  b: {{}}");
        project.flow("order", "", &condition);
        project.compile();
        project.succeeds(&["apply"]);
        project.flow("order", "", "  a: {}\n  b: {}");
        let file = project.compile();
        psql(&database, &project.path("migrations").join(file)).unwrap();
        project.succeeds(&["drift"]);
        assert_eq!(text(&mut database.connect().await, COUNT_PWNED).await.unwrap(), "0");
    }
}

#[tokio::test]
async fn pull_does_not_apply_pending_migrations() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  a: {}");
    project.compile();
    let refused = project.exits_with(5, &["pull"]);
    assert!(refused.contains("FS829") && refused.contains("add_order"), "{refused}");
    assert_eq!(text(&mut database.connect().await, "(select count(*) from pgflow.flows)").await.unwrap(), "0");
}

#[tokio::test]
async fn pull_does_not_write_a_flow_that_another_file_defines() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.write("flows/sub/mine.yaml", "flow: order\nsteps: { a: {} }\n");
    project.compile();
    project.succeeds(&["apply"]);
    execute(&mut database.connect().await, "update pgflow.flows set opt_timeout = 7").await;
    let refused = project.exits_with(5, &["pull"]);
    assert!(refused.contains("FS826") && refused.contains("flows/sub/mine.yaml"), "{refused}");
    assert!(!project.path("flows/order.yaml").exists());
    assert_eq!(project.migrations().len(), 1);
}

#[tokio::test]
async fn adding_steps_is_refused_if_a_foreign_flow_has_runs() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let mut c = database.connect().await;
        let made = "select pgflow.create_flow('order'), pgflow.add_step('order', 'a')";
        execute(&mut c, made).await;
        execute(&mut c, "insert into pgflow.runs (flow_slug, input) values ('order', '{}')").await;
        let project = Project::on(&database);
        project.flow("order", "", "  a: {}\n  b: {}");
        project.compile();
        let refused = project.exits_with(5, &["apply"]);
        assert!(
            refused.contains("FS910") && refused.contains("already exist with another definition and have runs: order"),
            "{refused}"
        );
        assert_eq!(text(&mut c, "(select count(*) from pgflow.steps)").await.unwrap(), "1");
    }
}

#[tokio::test]
async fn refused_migration_explains_how_to_revert_it() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  a: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let mut c = database.connect().await;
    execute(&mut c, "insert into pgflow.runs (flow_slug, input) values ('order', '{}')").await;
    project.flow("order", "", "  a: {}\n  b: {}");
    let file = project.compile();
    let refused = project.exits_with(5, &["apply"]);
    assert!(refused.contains(&format!("delete {file} and run `flowsmith compile --rehash`")), "{refused}");

    std::fs::remove_file(project.path("migrations").join(file)).unwrap();
    project.succeeds(&["compile", "--rehash"]);
    project.flow("order", "version: 2", "  a: {}\n  b: {}");
    project.compile();
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
}

#[tokio::test]
async fn recorded_flow_cannot_change_its_slug() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order_v2", "", "  a: {}");
    project.compile();
    project.write("flows/order_v2.yaml", "flow: order\nversion: 2\nsteps: { a: {} }\n");
    let refused = project.exits_with(5, &["compile"]);
    assert!(refused.contains("FS815") && refused.contains("order@2"), "{refused}");
}

#[tokio::test]
async fn large_integers_are_not_drift() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "input: { maximum: 1e18 }", "  a: { if: { n: 1e16, m: 9.0e18 } }");
    project.compile();
    project.succeeds(&["apply"]);
    project.succeeds(&["plan"]);
    project.succeeds(&["compile", "--check"]);
}

#[tokio::test]
async fn branches_that_raise_the_version_leave_one_current_version() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    let version = |version: u32| {
        project.flow("order", &format!("version: {version}"), "  a: {}");
        project.succeeds(&["compile", "--timestamp", &format!("2026010{version}000000")]);
        project.migrations().pop().unwrap()
    };
    version(1);
    let second = format!("migrations/{}", version(2));
    let of_the_other_branch = project.read(&second);
    std::fs::remove_file(project.path(&second)).unwrap();
    project.succeeds(&["compile", "--rehash"]);
    version(3);
    project.write(&second, &of_the_other_branch);
    project.succeeds(&["compile", "--rehash"]);
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
    let current = "(select count(*) from flowsmith.flow_versions where state = 'current')";
    assert_eq!(text(&mut database.connect().await, current).await.unwrap(), "1");
}

#[tokio::test]
async fn retirement_is_refused_if_no_migration_created_the_flow() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  a: {}");
    project.compile();
    std::fs::remove_file(project.path("flows/order.yaml")).unwrap();
    let retire = project.compile();
    let refused = psql(&database, &project.path("migrations").join(retire)).unwrap_err();
    assert!(refused.contains("FL004") && refused.contains("which no applied migration created"), "{refused}");
}

#[tokio::test]
async fn version_of_another_migration_is_reported() {
    let database = flowsmith_engine().await;
    let mut c = database.connect().await;
    let sql = "insert into flowsmith.migrations (version, name) values ('20260101000000', 'other')";
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut c).await.unwrap();
    let project = Project::on(&database);
    project.flow("order", "", "  a: {}");
    project.succeeds(&["compile", "--timestamp", "20260101000000"]);
    let file = project.migrations().pop().unwrap();
    let refused = psql(&database, &project.path("migrations").join(file)).unwrap_err();
    assert!(refused.contains("is already used by another migration, other"), "{refused}");
}

#[tokio::test]
async fn mistyped_environment_does_not_connect() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database).with("DATABASE_URL", &database.url()).with("PROD_URL", &database.url());
    project.write("flowsmith.toml", "[environments.production]\ndatabase_url_env = \"PROD_URL\"\n");
    project.flow("order", "", "  a: {}");
    project.compile();
    let refused = project.exits_with(64, &["--env", "prodction", "apply"]);
    assert!(refused.contains("environment `prodction` is not configured"), "{refused}");
    // An environment that no flow overrides is valid too.
    project.exits_with(2, &["--env", "production", "plan"]);
}

#[tokio::test]
async fn install_restores_objects_dropped_with_the_engine() {
    let database = flowsmith_engine().await;
    let mut c = database.connect().await;
    execute(&mut c, "drop schema pgflow cascade").await;
    let project = Project::on(&database);
    project.succeeds(&["install"]);
    let there = "(select to_regprocedure('flowsmith.start_flow(text,jsonb,uuid)') is not null)";
    assert_eq!(text(&mut c, there).await.unwrap(), "true");
}

#[tokio::test]
async fn run_start_waits_until_steps_are_replaced() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  a: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let mut migration = database.connect().await;
    let wanted = "update flowsmith.flow_versions set definition = jsonb_set(definition, '{steps,0,slug}', '\"b\"')";
    execute(&mut migration, "begin").await;
    execute(&mut migration, wanted).await;
    execute(&mut migration, "select flowsmith.reset_flow('order')").await;
    let mut starter = database.connect().await;
    execute(&mut starter, "set lock_timeout = '50ms'").await;
    let start =
        "with s as (select * from pgflow.steps) insert into pgflow.runs (flow_slug, input) values ('order', '{}')";
    let waits = sqlx::raw_sql(start).execute(&mut starter).await.unwrap_err().to_string();
    assert!(waits.contains("lock timeout"), "{waits}");
}

#[tokio::test]
async fn input_style_cannot_be_changed_after_install() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    let refused = project.exits_with(5, &["install", "--input-style", "merged"]);
    assert!(refused.contains("FS925") && refused.contains("input style separate"), "{refused}");
    project.succeeds(&["install", "--input-style", "separate"]);
}
