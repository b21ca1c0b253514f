//! `bench` counts correctly, and cleans up however it ends.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::PgConnection;

use crate::engine::definitions::{execute, text, with_engine};
use crate::fixture::Database;
use crate::fixture::command::{Outcome, Project};
use crate::fixture::official::{Official, official_install};

/// The arguments of a short benchmark.
const SMALL: [&str; 8] = ["--runs", "3", "--repetitions", "2", "--warm-up", "1", "--workers", "2"];

fn bench(database: &Database, more: &[&str]) -> Outcome {
    Project::on(database).run(&[&["bench"], more].concat())
}

/// Parses the report and asserts that it fits its schema.
fn report(outcome: &Outcome) -> Value {
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/bench.v1.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {report:#}");
    report
}

async fn assert_clean(c: &mut PgConnection) {
    for table in ["flows", "steps", "deps", "runs", "step_states", "step_tasks", "workers"] {
        let count = text(c, &format!("select count(*) from pgflow.{table}")).await;
        assert_eq!(count.as_deref(), Some("0"), "{table}");
    }
    assert_eq!(text(c, "select count(*) from pgmq.meta").await.as_deref(), Some("0"));
    let queues = "select count(*) from pg_tables where schemaname = 'pgmq' and tablename ~ '^[qa]_'";
    assert_eq!(text(c, queues).await.as_deref(), Some("0"));
}

#[tokio::test]
async fn bench_counts_every_scenario_and_leaves_nothing_behind() {
    let database = with_engine().await;
    let outcome = bench(&database, &[&SMALL[..], &["--format", "json"]].concat());
    assert_eq!(outcome.code, 0, "{outcome}");
    let report = report(&outcome);
    assert_eq!(report["complete"], true);
    let scenarios = report["scenarios"].as_array().unwrap();
    let tasks: Vec<_> =
        scenarios.iter().map(|one| (one["name"].as_str().unwrap(), one["tasks"].as_u64().unwrap())).collect();
    assert_eq!(tasks, [("single", 3), ("chain", 15), ("fan", 66), ("map", 63)]);
    for scenario in scenarios {
        // 3 runs start and end in each of 2 repetitions.
        assert_eq!(scenario["events"]["expected"], 12, "{scenario:#}");
        assert_eq!(scenario["events"]["received"], 12, "{scenario:#}");
        assert!(scenario["tasks_processed_per_second"]["mean"].as_f64().unwrap() > 0.0);
        assert!(scenario["creation_milliseconds"]["deviation"].is_f64());
        if cfg!(target_os = "linux") {
            for process in ["benchmark", "server"] {
                assert!(scenario[process]["memory_peak_bytes"].as_u64().unwrap() > 1_000_000, "{scenario:#}");
            }
        }
    }
    // 3 repetitions of 4 scenarios, the first of each to warm up.
    assert_eq!(outcome.stderr.lines().filter(|line| line.contains(" tasks/s")).count(), 12, "{outcome}");
    assert_eq!(outcome.stderr.lines().filter(|line| line.contains("warm-up")).count(), 4, "{outcome}");
    assert_clean(&mut database.connect().await).await;
}

#[tokio::test]
async fn text_report_has_every_phase() {
    let database = with_engine().await;
    let one = ["--scenario", "chain", "--runs", "2", "--repetitions", "1", "--warm-up", "0", "--protocol", "single"];
    let outcome = bench(&database, &one);
    assert_eq!(outcome.code, 0, "{outcome}");
    for words in ["creation", "start", "processing", "events", "4 of 4", "benchmark", "server", "one by one"] {
        assert!(outcome.stdout.contains(words), "{words}: {outcome}");
    }
    let creation = outcome.stdout.lines().find(|line| line.contains("creation")).unwrap();
    assert!(!creation.contains('±'), "one repetition has no deviation: {outcome}");
}

#[tokio::test]
async fn official_engine_is_measured_with_its_own_calls_and_cleaned_up() {
    let database = Database::create().await;
    official_install(&database.options(), Official::V0_8_1).await;
    let outcome = bench(&database, &[&SMALL[..], &["--format", "json"]].concat());
    assert_eq!(outcome.code, 0, "{outcome}");
    let report = report(&outcome);
    assert_eq!(report["protocol"], "single");
    // In the tests, the official engine sends its events to a table.
    assert_eq!(report["scenarios"][0]["events"], Value::Null);
    assert_clean(&mut database.connect().await).await;

    let outcome = bench(&database, &["--protocol", "batch"]);
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(outcome.stderr.contains("error[FS952]") && outcome.stderr.contains("poll_tasks"), "{outcome}");
}

#[tokio::test]
async fn disabled_events_are_not_expected() {
    let database = with_engine().await;
    execute(
        &mut database.connect().await,
        "do $$ begin execute format('alter database %I set pgflow.events = off', current_database()); end $$",
    )
    .await;
    let outcome = bench(&database, &[&SMALL[..], &["--scenario", "single"]].concat());
    assert_eq!(outcome.code, 0, "{outcome}");
    assert!(outcome.stdout.contains("not counted"), "{outcome}");
    assert!(!outcome.stdout.contains("every event"), "{outcome}");
}

#[tokio::test]
async fn foreign_flows_are_kept_and_reported() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, "select pgflow.create_flow('mine'); select pgflow.create_flow('flowsmith_bench_left')").await;
    let outcome = bench(&database, &[&SMALL[..], &["--scenario", "single"]].concat());
    assert_eq!(outcome.code, 0, "{outcome}");
    assert!(outcome.stderr.contains("flowsmith_bench_left"), "{outcome}");
    let left = text(c, "select string_agg(flow_slug, ' ' order by flow_slug) from pgflow.flows").await;
    assert_eq!(left.as_deref(), Some("flowsmith_bench_left mine"));
}

#[tokio::test]
async fn engine_without_task_execution_is_refused() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, "drop function pgflow.complete_task(uuid, text, integer, jsonb) cascade").await;
    let outcome = bench(&database, &[]);
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(outcome.stderr.contains("error[FS951]") && outcome.stderr.contains("complete_task"), "{outcome}");
    assert_clean(c).await;

    let empty = Database::create().await;
    let outcome = bench(&empty, &[]);
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(outcome.stderr.contains("error[FS909]"), "{outcome}");
}

#[tokio::test]
async fn failed_bench_cleans_up() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(
        c,
        "create function public.refuse() returns trigger language plpgsql as $$ begin raise 'no more'; end $$; \
         create trigger refuse before update on pgflow.runs for each row execute function public.refuse()",
    )
    .await;
    let outcome = bench(&database, &SMALL);
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(outcome.stderr.contains("no more"), "{outcome}");
    assert_clean(c).await;
}

#[tokio::test]
async fn interrupted_bench_cleans_up() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let database = with_engine().await;
        let c = &mut database.connect().await;
        let project = Project::on(&database);
        let child = project.start(&["bench", "--runs", "100000"]);
        wait_for_runs(c).await;
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("error[FS955]") && !stderr.contains("error[FS956]"), "{stderr}");
        assert_clean(c).await;
    }
}

async fn wait_for_runs(c: &mut PgConnection) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while text(c, "select count(*) from pgflow.runs").await.as_deref() == Some("0") {
        assert!(Instant::now() < deadline, "it starts no runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn invalid_arguments_are_usage_errors() {
    let project = Project::new();
    for arguments in [
        ["--runs", "0"],
        ["--workers", "0"],
        ["--batch", "-1"],
        ["--repetitions", "0"],
        ["--scenario", "star"],
        ["--protocol", "fast"],
        ["--format", "markdown"],
    ] {
        let outcome = project.run(&[&["bench"], &arguments[..]].concat());
        assert_eq!(outcome.code, 64, "{arguments:?}: {outcome}");
    }
    let outcome = project.run(&["bench"]);
    assert!(outcome.stderr.contains("error[FS824]"), "{outcome}");
}
