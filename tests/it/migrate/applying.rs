//! Applying despite concurrent applies, lost connections, killed processes and edited folders.

use std::fs;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::{Project, flowsmith_engine};
use crate::migrate::safety::wait_until;

const WAITING: &str = "exists (select from pg_stat_activity where application_name = 'flowsmith' and wait_event_type = 'Lock' and datname = current_database())";
const NOTHING: &str = "(select count(*) from pgflow.flows) + (select count(*) from flowsmith.flow_versions) + (select count(*) from flowsmith.migrations) + (select count(*) from flowsmith.events) + (select count(*) from pgmq.meta)";

/// A project with a migration for each flow.
fn project(database: &Database, flows: &[&str]) -> Project {
    let project = Project::on(database);
    for flow in flows {
        project.flow(flow, "", "  load: {}\n  send: { depends_on: [load] }");
        project.compile();
    }
    project
}

#[tokio::test]
async fn apply_names_the_session_that_holds_the_lock() {
    let database = flowsmith_engine().await;
    let project = project(&database, &["order"]);
    let mut holder = database.connect().await;
    execute(&mut holder, "set application_name = 'deploy of blue'; begin; select flowsmith.acquire_lock()").await;
    let pid = text(&mut holder, "pg_backend_pid()").await.unwrap();
    let began = std::time::Instant::now();
    let refused = project.exits_with(1, &["apply", "--lock-timeout", "300ms"]);
    assert!(began.elapsed().as_secs() < 5);
    for part in ["FS913", "postgres", "deploy of blue", &format!("pid {pid}"), "since 20", "--lock-timeout", "0.3 s"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    execute(&mut holder, "rollback").await;
    project.succeeds(&["apply"]);
}

#[tokio::test]
async fn apply_waits_for_a_table_lock_for_a_limited_time() {
    let database = flowsmith_engine().await;
    let project = project(&database, &["order"]);
    let mut holder = database.connect().await;
    execute(&mut holder, "begin; lock table pgflow.steps in exclusive mode").await;
    let refused = project.exits_with(1, &["apply", "--lock-timeout", "300ms"]);
    assert!(refused.contains("FS906") && refused.contains("was rolled back"), "{refused}");
    let refused = project.exits_with(1, &["apply", "--statement-timeout", "300ms"]);
    assert!(refused.contains("FS907"), "{refused}");
    execute(&mut holder, "rollback").await;
    assert_eq!(text(&mut holder, NOTHING).await.unwrap(), "0");
    project.succeeds(&["apply"]);
}

#[tokio::test]
async fn concurrent_applies_run_each_migration_once() {
    let database = flowsmith_engine().await;
    let project = project(&database, &["a", "b", "c", "d"]);
    let mut holder = database.connect().await;
    execute(&mut holder, "begin; select flowsmith.acquire_lock()").await;
    let both = [project.start(&["apply"]), project.start(&["apply"])];
    let both_wait = "2 = (select count(*) from pg_stat_activity where application_name = 'flowsmith' and wait_event_type = 'Lock' and datname = current_database())";
    wait_until(&database, both_wait).await;
    execute(&mut holder, "commit").await;
    let mut applied = 0;
    for apply in both {
        let output = apply.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{message}");
        applied += message.matches("Applied ").count();
    }
    assert_eq!(applied, 4);
    assert_eq!(
        text(&mut holder, "(select count(*) from flowsmith.migrations where checksum is not null)").await.unwrap(),
        "4"
    );
    assert_eq!(
        text(&mut holder, "(select count(*) from flowsmith.events where kind = 'migrated')").await.unwrap(),
        "4"
    );
}

#[tokio::test]
async fn lost_connection_rolls_the_migration_back() {
    let database = flowsmith_engine().await;
    let project = project(&database, &["order", "signup"]);
    // Inside the first migration: its flow and queue are created, its steps are not.
    let mut holder = database.connect().await;
    execute(&mut holder, "begin; lock table pgflow.deps in exclusive mode").await;
    let apply = project.start(&["apply"]);
    wait_until(&database, WAITING).await;
    let cut = "(select bool_and(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'flowsmith' and datname = current_database())";
    assert_eq!(text(&mut database.connect().await, cut).await.unwrap(), "true");
    let output = apply.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("FS908") && message.contains("run the command again: the server rolls back"), "{message}");
    execute(&mut holder, "rollback").await;
    assert_eq!(text(&mut holder, NOTHING).await.unwrap(), "0");
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
}

#[tokio::test]
async fn killed_process_rolls_the_migration_back() {
    let database = flowsmith_engine().await;
    let project = project(&database, &["order", "signup"]);
    let mut holder = database.connect().await;
    execute(&mut holder, "begin; lock table pgflow.deps in exclusive mode").await;
    let mut apply = project.start(&["apply"]);
    wait_until(&database, WAITING).await;
    apply.kill().unwrap();
    apply.wait().unwrap();
    execute(&mut holder, "rollback").await;
    // The next apply waits until the server ends the lost session, then continues.
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
    assert_eq!(text(&mut holder, "(select count(*) from flowsmith.events)").await.unwrap(), "2");
}

#[tokio::test]
async fn kill_between_migrations_keeps_the_first() {
    let database = flowsmith_engine().await;
    let project = project(&database, &["order"]);
    project.succeeds(&["apply"]);
    project.flow("signup", "", "  ask: {}");
    project.compile();
    project.flow("order", "defaults: { timeout: 5m }", "  load: {}\n  send: { depends_on: [load] }");
    project.compile();
    let mut holder = database.connect().await;
    execute(&mut holder, "begin; select from pgflow.flows where flow_slug = 'order' for update").await;
    let mut apply = project.start(&["apply"]);
    wait_until(&database, WAITING).await;
    apply.kill().unwrap();
    apply.wait().unwrap();
    execute(&mut holder, "rollback").await;
    wait_until(&database, "not exists (select from pg_stat_activity where application_name = 'flowsmith' and datname = current_database())").await;
    assert_eq!(text(&mut holder, "(select count(*) from flowsmith.migrations)").await.unwrap(), "2");
    assert_eq!(
        text(&mut holder, "(select opt_timeout from pgflow.flows where flow_slug = 'order')").await.unwrap(),
        "60"
    );
    let status = project.exits_with(2, &["status"]);
    assert!(status.contains("3 migrations, 1 pending"), "{status}");
    project.succeeds(&["apply"]);
}

#[tokio::test]
async fn edited_added_and_removed_files_are_reported() {
    let database = flowsmith_engine().await;
    let project = project(&database, &["a", "b", "c"]);
    let files = project.migrations();
    let path = |index: usize| format!("migrations/{}", files[index]);
    let sum = project.read("migrations/flowsmith.sum");
    let originals: Vec<String> = (0..3).map(|index| project.read(&path(index))).collect();

    project.write(&path(1), &format!("{}-- and more\n", originals[1]));
    for command in [&["apply"][..], &["compile"], &["compile", "--check"], &["drift"], &["status"], &["up"]] {
        let refused = project.exits_with(5, command);
        assert!(refused.contains("FS804") && refused.contains(&format!("{} was edited", files[1])), "{refused}");
        assert!(!refused.contains(&files[0]) && !refused.contains(&files[2]), "{command:?}: {refused}");
    }
    fs::remove_file(project.path(&path(1))).unwrap();
    assert!(project.exits_with(5, &["apply"]).contains(&format!("{} was removed", files[1])));
    project.write(&path(1), &originals[1]);
    project.write("migrations/20990101000000_extra.sql", &originals[1]);
    assert!(project.exits_with(5, &["apply"]).contains("20990101000000_extra.sql was added manually"));
    fs::remove_file(project.path("migrations/20990101000000_extra.sql")).unwrap();
    project.write("migrations/notes.sql", "select 1");
    assert!(project.exits_with(5, &["apply"]).contains("FS802"));
    fs::remove_file(project.path("migrations/notes.sql")).unwrap();
    project.succeeds(&["apply"]);
    assert_eq!(project.read("migrations/flowsmith.sum"), sum);

    // A new sum file does not legitimize a migration that was edited after it was applied.
    project.write(&path(1), &format!("{}-- and more\n", originals[1]));
    assert!(project.exits_with(5, &["compile", "--rehash"]).contains("FS808"));
    project.succeeds(&["compile", "--rehash", "--allow-edited"]);
    let edited = project.exits_with(5, &["apply", "--allow-edited"]);
    assert!(edited.contains("FS915") && edited.contains(files[1].trim_end_matches(".sql")), "{edited}");
    assert!(project.exits_with(3, &["status", "--allow-edited"]).contains("edited"));
    assert!(project.exits_with(3, &["drift", "--allow-edited"]).contains("edited"));
    fs::remove_file(project.path(&path(2))).unwrap();
    project.write(&path(1), &originals[1]);
    project.succeeds(&["compile", "--rehash"]);
    let missing = project.exits_with(5, &["apply"]);
    assert!(missing.contains("FS916") && missing.contains(files[2].trim_end_matches(".sql")), "{missing}");
    assert!(project.exits_with(3, &["status"]).contains("missing"));
    assert!(project.exits_with(3, &["drift"]).contains("missing"));
}

#[tokio::test]
async fn out_of_order_migrations_are_refused_without_the_flag() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("late", "", "  a: {}");
    project.succeeds(&["compile", "--timestamp", "20260101000000"]);
    let text_of_late = project.read("migrations/20260101000000_add_late.sql");
    fs::remove_dir_all(project.path("migrations")).unwrap();
    fs::remove_file(project.path("flows/late.yaml")).unwrap();
    project.flow("early", "", "  a: {}");
    project.succeeds(&["compile", "--timestamp", "20260201000000"]);
    project.succeeds(&["apply"]);
    let before = project.exits_with(64, &["compile", "--delete", "early", "--timestamp", "20260101000000"]);
    assert!(before.contains("FS811"), "{before}");

    // A branch was merged.
    project.write("migrations/20260101000000_add_late.sql", &text_of_late);
    project.flow("late", "", "  a: {}");
    project.succeeds(&["compile", "--rehash"]);
    let refused = project.exits_with(5, &["apply"]);
    assert!(refused.contains("FS917") && refused.contains("20260101000000_add_late"), "{refused}");
    assert!(project.exits_with(2, &["status"]).contains("pending, out of order"));
    project.succeeds(&["apply", "--out-of-order"]);
    project.succeeds(&["plan"]);
    project.succeeds(&["drift"]);
    project.succeeds(&["status"]);
}

#[tokio::test]
async fn drift_blocks_apply_until_it_is_accepted() {
    let database = flowsmith_engine().await;
    let project = project(&database, &["order"]);
    project.succeeds(&["apply"]);
    let mut c = database.connect().await;
    execute(&mut c, "update pgflow.flows set opt_timeout = 999").await;
    project.flow("signup", "", "  ask: {}");
    project.compile();
    let refused = project.exits_with(3, &["apply"]);
    assert!(refused.contains("FS914") && refused.contains("timeout 60 s → 999 s"), "{refused}");
    assert_eq!(text(&mut c, "(select count(*) from pgflow.flows)").await.unwrap(), "1");
    let accepted = project.succeeds(&["apply", "--accept-drift"]);
    assert!(accepted.stdout.contains("timeout 60 s → 999 s"), "{accepted}");
    assert_eq!(text(&mut c, "(select count(*) from pgflow.flows)").await.unwrap(), "2");
    assert_eq!(
        text(&mut c, "(select detail from flowsmith.events where kind = 'drift-accepted')").await.unwrap(),
        r#"{"flows": ["order@1"], "differences": ["order@1: timeout 60 s → 999 s"]}"#
    );
}

#[tokio::test]
async fn events_are_append_only() {
    let database = flowsmith_engine().await;
    project(&database, &["order"]).succeeds(&["apply"]);
    let mut c = database.connect().await;
    for change in
        ["update flowsmith.events set actor = 'nobody'", "delete from flowsmith.events", "truncate flowsmith.events"]
    {
        let error = sqlx::raw_sql(change).execute(&mut c).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    assert_eq!(text(&mut c, "(select count(*) from flowsmith.events)").await.unwrap(), "1");
}

#[tokio::test]
async fn rehash_resolves_a_conflict_in_the_sum_file() {
    let database = flowsmith_engine().await;
    let project = project(&database, &["a", "b"]);
    let sum = project.read("migrations/flowsmith.sum");
    let (first, second) = sum.split_once('\n').unwrap();
    project.write(
        "migrations/flowsmith.sum",
        &format!("{first}\n<<<<<<< HEAD\n{second}=======\n{second}>>>>>>> branch\n"),
    );
    let refused = project.exits_with(5, &["apply"]);
    assert!(
        refused.contains("line 2 of flowsmith.sum is not a file name and a hash") && refused.contains("--rehash"),
        "{refused}"
    );
    project.succeeds(&["compile", "--rehash"]);
    assert_eq!(project.read("migrations/flowsmith.sum"), sum);
    project.succeeds(&["apply"]);
}

#[tokio::test]
async fn lost_applied_migration_can_be_restored() {
    let database = crate::fixture::command::flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: {}");
    let lost = project.compile();
    std::fs::remove_file(project.path("flows/order.yaml")).unwrap();
    let later = project.compile();
    project.succeeds(&["apply"]);
    let (lost, later) = (format!("migrations/{lost}"), format!("migrations/{later}"));
    let (lost_text, later_text) = (project.read(&lost), project.read(&later));
    std::fs::remove_file(project.path(&lost)).unwrap();
    for command in [&["status"][..], &["drift"], &["plan"], &["apply"]] {
        assert!(project.exits_with(5, command).contains("FS804"));
    }
    let refused = project.exits_with(1, &["compile", "--rehash"]);
    assert!(refused.contains("FS807") && refused.contains("git log --diff-filter=D"), "{refused}");
    // The method of the page if git has no copy.
    std::fs::remove_file(project.path(&later)).unwrap();
    project.succeeds(&["compile", "--rehash"]);
    project.flow("order", "", "  load: {}");
    let version = &lost["migrations/".len()..][..14];
    project.succeeds(&["compile", "--timestamp", version]);
    assert_eq!(project.read(&lost), lost_text);
    project.write(&later, &later_text);
    project.succeeds(&["compile", "--rehash"]);
    project.succeeds(&["status"]);
    project.succeeds(&["drift"]);
}
