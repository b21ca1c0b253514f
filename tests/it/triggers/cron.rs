//! Schedules with and without pg_cron.

use std::time::{Duration, Instant};

use flowsmith_postgres::engine::install::{InputStyle, install};
use sqlx::{ConnectOptions, PgConnection};

use super::{deploy, order, runs};
use crate::engine::definitions::{execute, text};
use crate::fixture::command::{Project, flowsmith_engine};
use crate::triggers::pg_cron::server_with_cron;

const JOBS: &str = "(select string_agg(concat_ws(' | ', jobname, schedule, command, active), ', ' order by jobname) from cron.job where jobname like 'flowsmith:%')";

const NIGHTLY: &str = "  - { name: nightly, cron: \"0 2 * * *\", input: { source: \"it's night\" } }";

/// Waits for pg_cron to start a run with this input.
async fn fired(c: &mut PgConnection, input: &str) {
    // The job runs at every full minute.
    let end = Instant::now() + Duration::from_secs(90);
    while !runs(c).await.contains(input) {
        let output = text(
            c,
            "(select string_agg(concat_ws(' ', command, status, return_message), ', ') from cron.job_run_details)",
        )
        .await;
        assert!(Instant::now() < end, "pg_cron has not run the job: {output:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn pg_cron_runs_schedules_and_drift_compares_its_jobs() {
    let Some(server) = server_with_cron("triggers-cron").await else { return };
    let options = server.connect_options("postgres");
    let c = &mut options.connect().await.unwrap();
    execute(c, "create extension pg_cron").await;
    install(&options, InputStyle::Separate).await.unwrap();
    let project = Project::new().with("DATABASE_URL", &server.url("postgres"));
    order(&project, "", "  - { name: often, cron: \"* * * * *\", input: { source: \"it's often\" } }");
    let output = deploy(&project);
    assert!(!output.contains("pg_cron"), "{output}");
    let often = "flowsmith:order:often | * * * * * | select flowsmith.fire_schedule('order', 'often') | t";
    assert_eq!(text(c, JOBS).await.as_deref(), Some(often));
    project.succeeds(&["drift"]);
    project.succeeds(&["plan"]);
    fired(c, "it's often").await;

    // The job stays the same for a new version with the same schedule, and for another input.
    let job = text(c, "(select jobid from cron.job where jobname like 'flowsmith:%')").await;
    order(&project, "version: 2", "  - { name: often, cron: \"*  * * * *\", input: { source: \"version 2\" } }");
    deploy(&project);
    assert_eq!(text(c, "(select jobid from cron.job where jobname like 'flowsmith:%')").await, job);
    execute(c, "do $$ begin execute (select command from cron.job where jobname like 'flowsmith:%'); end $$").await;
    assert!(runs(c).await.contains("order_v2 {\"source\": \"version 2\"}"));

    order(&project, "version: 2", NIGHTLY);
    let plan = project.exits_with(2, &["plan"]);
    assert!(plan.contains("trigger often removed") && plan.contains("trigger nightly added: cron 0 2 * * *"), "{plan}");
    deploy(&project);
    let nightly = "flowsmith:order:nightly | 0 2 * * * | select flowsmith.fire_schedule('order', 'nightly') | t";
    assert_eq!(text(c, JOBS).await.as_deref(), Some(nightly));
    for (sql, words) in [
        ("select cron.unschedule('flowsmith:order:nightly')", "its pg_cron job is missing"),
        (
            "select cron.alter_job(jobid, schedule => '0 3 * * *') from cron.job where jobname like 'flowsmith:%'",
            "its job runs at 0 3 * * *",
        ),
        (
            "select cron.alter_job(jobid, command => 'select 1') from cron.job where jobname like 'flowsmith:%'",
            "its job runs select 1",
        ),
        (
            "select cron.alter_job(jobid, active => false) from cron.job where jobname like 'flowsmith:%'",
            "its job is disabled",
        ),
        (
            "select cron.alter_job(jobid, database => 'template1') from cron.job where jobname like 'flowsmith:%'",
            "its job runs in the database template1",
        ),
    ] {
        execute(c, sql).await;
        let drift = project.exits_with(3, &["drift"]);
        assert!(drift.contains(&format!("order: trigger nightly: {words}")), "{drift}");
        assert!(project.exits_with(3, &["apply"]).contains("FS914"));
        project.succeeds(&["compile", "--from-live"]);
        project.succeeds(&["apply", "--accept-drift"]);
        project.succeeds(&["drift"]);
        assert_eq!(text(c, JOBS).await.as_deref(), Some(nightly));
    }

    // An undeclared job of flowsmith, and a job of another owner that starts flows.
    execute(c, "select cron.schedule('flowsmith:order:more', '0 4 * * *', 'select 1')").await;
    execute(c, "select cron.schedule('by hand', '0 5 * * *', $$select pgflow.start_flow('order', '{}')$$)").await;
    let drift = project.exits_with(3, &["drift"]);
    assert!(drift.contains("order: trigger more: pg_cron has an unexpected job flowsmith:order:more"), "{drift}");
    assert!(!drift.contains("by hand"), "{drift}");
    let other = Project::new().with("DATABASE_URL", &server.url("postgres"));
    let pulled = other.succeeds(&["pull", "--files-only"]).all_output();
    assert!(
        pulled.contains("Left unchanged: pg_cron's job by hand (`0 5 * * *`: select pgflow.start_flow('order', '{}'))"),
        "{pulled}"
    );
    project.succeeds(&["compile", "--from-live"]);
    project.succeeds(&["apply"]);
    assert_eq!(text(c, JOBS).await.as_deref(), Some(nightly));

    // The name exceeds the limit of pg_cron 1.4.
    let (long, longer) = ("n".repeat(40), "n".repeat(46));
    for trigger in [&long, &longer] {
        let flow = "f".repeat(46);
        let triggers =
            format!("  - {{ name: {trigger}, cron: \"0 2 * * *\" }}\n  - {{ name: x{trigger}, cron: \"0 3 * * *\" }}");
        project.write("flows/long.yaml", &format!("flow: {flow}\nsteps:\n  load: {{}}\ntriggers:\n{triggers}\n"));
        deploy(&project);
        project.succeeds(&["drift"]);
        let jobs = "(select string_agg(command, ', ' order by command) from cron.job where length(jobname) = 63)";
        let fires = |trigger: &str| format!("select flowsmith.fire_schedule('{flow}', '{trigger}')");
        let both = format!("{}, {}", fires(trigger), fires(&format!("x{trigger}")));
        assert_eq!(text(c, jobs).await, Some(both));
    }
    execute(c, "select cron.alter_job(jobid, active => false) from cron.job where schedule = '0 3 * * *'").await;
    let drift = project.exits_with(3, &["drift"]);
    assert!(drift.contains(&format!("trigger x{longer}: its job is disabled")), "{drift}");
    std::fs::remove_file(project.path("flows/long.yaml")).unwrap();
    project.compile();
    project.succeeds(&["apply", "--accept-drift"]);
    assert_eq!(text(c, JOBS).await.as_deref(), Some(nightly));

    // A schedule that this pg_cron does not support is refused as a whole, with advice.
    let knows_seconds = "(select string_to_array(split_part(extversion, '-', 1), '.')::int[] >= array[1, 5] from pg_extension where extname = 'pg_cron')";
    if text(c, knows_seconds).await.as_deref() == Some("false") {
        order(&project, "version: 2", "  - { name: nightly, cron: \"30 seconds\" }");
        let migration = project.compile();
        let plan = project.exits_with(5, &["plan"]);
        assert!(plan.contains("needs pg_cron 1.5 or later; this is 1.4"), "{plan}");
        let refused = project.exits_with(5, &["apply"]);
        assert!(refused.contains("FS996") && refused.contains("need pg_cron 1.5 or later; this is 1.4"), "{refused}");
        std::fs::remove_file(project.path("migrations").join(migration)).unwrap();
        project.succeeds(&["compile", "--rehash"]);
    }

    // The job is removed with its flow, and with pg_cron.
    execute(c, "drop extension pg_cron").await;
    let drift = project.exits_with(3, &["drift"]);
    assert!(drift.contains("order: trigger nightly: its pg_cron job is missing"), "{drift}");
    order(&project, "version: 2", NIGHTLY);
    let plan = project.exits_with(3, &["plan"]);
    assert!(plan.contains("No flow changes, but the database has drifted"), "{plan}");
    project.succeeds(&["compile", "--from-live"]);
    assert!(
        project.succeeds(&["apply", "--accept-drift"]).all_output().contains("there is no pg_cron in this database")
    );
    project.succeeds(&["drift"]);
    execute(c, "create extension pg_cron").await;
    project.succeeds(&["drift"]);
    project.succeeds(&["install"]);
    assert_eq!(text(c, JOBS).await.as_deref(), Some(nightly));
    project.succeeds(&["drift"]);
    std::fs::remove_file(project.path("flows/order.yaml")).unwrap();
    deploy(&project);
    assert_eq!(text(c, JOBS).await, None);
}

#[tokio::test]
async fn schedules_without_pg_cron_are_applied_with_a_note() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    order(&project, "", NIGHTLY);
    project.compile();
    let plan = project.exits_with(2, &["plan"]);
    assert!(
        plan.contains("this database has no pg_cron: nightly fires only while a worker runs with --schedule"),
        "{plan}"
    );
    let output = project.succeeds(&["apply"]).stderr;
    assert!(output.contains("there is no pg_cron in this database") && output.contains("order: nightly"), "{output}");
    project.succeeds(&["drift"]);
    let c = &mut database.connect().await;
    let row =
        "(select concat_ws(' ', flow, name, kind, scheduled, definition #> '{source,cron}') from flowsmith.triggers)";
    assert_eq!(
        text(c, row).await.as_deref(),
        Some("order nightly cron f {\"input\": {\"source\": \"it's night\"}, \"schedule\": \"0 2 * * *\"}")
    );
    // The note is printed once, for the new schedule.
    assert!(!project.succeeds(&["apply"]).stderr.contains("pg_cron"));
}

#[tokio::test]
async fn pg_cron_in_another_database_is_not_suggested_here() {
    let Some(server) = server_with_cron("triggers-elsewhere").await else { return };
    execute(&mut server.connect_options("postgres").connect().await.unwrap(), "create database shop").await;
    install(&server.connect_options("shop"), InputStyle::Separate).await.unwrap();
    let project = Project::new().with("DATABASE_URL", &server.url("shop"));
    order(&project, "", NIGHTLY);
    project.compile();
    let output = project.succeeds(&["apply"]).stderr;
    assert!(output.contains("pg_cron is restricted to the database postgres (`cron.database_name`)"), "{output}");
    assert!(!output.contains("create extension"), "{output}");
}
