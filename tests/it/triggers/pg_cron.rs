//! Recovery of stalled tasks by pg_cron.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, Instant};

use flowsmith_devserver::Server;
use flowsmith_postgres::engine::doctor::{CheckStatus, DoctorCheck, doctor};
use flowsmith_postgres::engine::install::{InputStyle, install};
use sqlx::{ConnectOptions, PgConnection};

use crate::engine::definitions::{execute, text};
use crate::fixture::command::Project;
use crate::fixture::{self, Database, has_extension};

const JOB: &str =
    "(select string_agg(concat_ws(' | ', jobname, schedule, command, username, active), ', ') from cron.job)";

/// A server with pg_cron, which has to be preloaded; none if this machine has no pg_cron.
pub(crate) async fn server_with_cron(name: &str) -> Option<Server> {
    let folder = fixture::new_folder(name);
    let server = fixture::start_server(&folder);
    let c = &mut server.connect_options("postgres").connect().await.unwrap();
    if !has_extension(c, "pg_cron").await {
        return None;
    }
    let file = text(c, "current_setting('config_file')").await.unwrap();
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    // pg_cron connects by TCP by default, and the server does not listen on TCP.
    writeln!(file, "shared_preload_libraries = 'pg_cron'\ncron.use_background_workers = on").unwrap();
    Some(restart(server, name))
}

fn restart(server: Server, name: &str) -> Server {
    let folder = server.folder().to_owned();
    server.stop().unwrap();
    assert!(folder.ends_with(name));
    fixture::start_server(&folder)
}

async fn recovery(c: &mut PgConnection) -> DoctorCheck {
    let checks = doctor(c).await.unwrap();
    checks.into_iter().find(|check| check.name == "recovery of stalled tasks").unwrap()
}

#[tokio::test]
async fn install_creates_job_once_and_it_runs() {
    let Some(server) = server_with_cron("cron").await else { return };
    let options = server.connect_options("postgres");
    let c = &mut options.connect().await.unwrap();
    execute(c, "create extension pg_cron").await;
    let seconds = text(c, "select string_to_array(split_part(extversion, '-', 1), '.')::int[] >= array[1, 5] from pg_extension where extname = 'pg_cron'").await;
    let schedule = if seconds.as_deref() == Some("true") { "15 seconds" } else { "* * * * *" };
    let job =
        format!("pgflow_requeue_stalled_tasks | {schedule} | select pgflow.requeue_stalled_tasks() | postgres | t");

    for _ in 0..2 {
        let report = install(&options, InputStyle::Separate).await.unwrap();
        assert_eq!(report.database.has_cron_job, Some(true));
        assert_eq!(text(c, JOB).await, Some(job.clone()));
    }
    assert_eq!(recovery(c).await.status, CheckStatus::Ok);

    execute(c, "select cron.unschedule('pgflow_requeue_stalled_tasks')").await;
    let found = recovery(c).await;
    assert_eq!(found.status, CheckStatus::Warning);
    assert_eq!(found.advice.as_deref(), Some("run `flowsmith install` to create the job"));
    let project = Project::new().with("DATABASE_URL", &server.url("postgres"));
    let output = project.succeeds(&["install"]).stdout;
    assert!(output.contains("pg_cron recovers stalled tasks"), "{output}");
    assert_eq!(text(c, JOB).await, Some(job));

    // `install` keeps a changed schedule, and this one runs the job soon.
    execute(c, "select cron.alter_job(jobid, schedule => '@reboot') from cron.job").await;
    install(&options, InputStyle::Separate).await.unwrap();
    execute(
        c,
        "select pgflow.create_flow('order', timeout => 1), pgflow.add_step('order', 'load');
         select pgflow.start_flow('order', '{}');
         select pgflow.start_tasks('order', array[1::bigint], null);
         update pgflow.step_tasks set queued_at = queued_at - interval '1 hour', started_at = started_at - interval '1 hour'",
    )
    .await;
    assert_eq!(text(c, "select status from pgflow.step_tasks").await.as_deref(), Some("started"));
    let server = restart(server, "cron");
    let c = &mut server.connect_options("postgres").connect().await.unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while text(c, "select status from pgflow.step_tasks").await.as_deref() != Some("queued") {
        let runs =
            text(c, "select string_agg(concat_ws(' ', status, return_message), ', ') from cron.job_run_details").await;
        assert!(Instant::now() < end, "pg_cron has not run the job: {runs:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(text(c, "select requeued_count from pgflow.step_tasks").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn role_without_pg_cron_installs_with_notice() {
    let Some(server) = server_with_cron("cron-rights").await else { return };
    let options = server.connect_options("postgres");
    let c = &mut options.connect().await.unwrap();
    execute(c, "create extension pg_cron; create role app login; alter database postgres owner to app").await;
    let app = options.clone().username("app");
    let report = install(&app, InputStyle::Separate).await.unwrap();
    assert_eq!((report.database.has_pg_cron, report.database.has_cron_job), (true, None));
    assert_eq!(recovery(&mut app.connect().await.unwrap()).await.status, CheckStatus::Skipped);
    assert_eq!(recovery(c).await.status, CheckStatus::Warning);
    execute(c, "grant usage on schema cron to app").await;
    let report = install(&app, InputStyle::Separate).await.unwrap();
    assert_eq!(report.database.has_cron_job, Some(true));
    assert_eq!(text(c, "select username from cron.job").await.as_deref(), Some("app"));
}

#[tokio::test]
async fn database_without_pg_cron_needs_no_job() {
    let database = Database::create().await;
    let report = install(&database.options(), InputStyle::Separate).await.unwrap();
    assert_eq!((report.database.has_pg_cron, report.database.has_cron_job), (false, None));
    let found = recovery(&mut database.connect().await).await;
    assert_eq!(
        (found.status, found.detail.as_str()),
        (
            CheckStatus::Ok,
            "no pg_cron: every running `flowsmith worker` recovers tasks every 15 seconds; without a worker, no task is recovered"
        )
    );
}
