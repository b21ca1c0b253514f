//! Clocks that are wrong, and times that no clock shows.

use std::path::PathBuf;

use rustix::process::Signal;
use sqlx::AssertSqlSafe;

use super::{assert_in_order, in_shell, outcome};
use crate::engine::definitions::execute;
use crate::fixture::command::{Project, flowsmith_engine};
use crate::fixture::runtime::rows;
use crate::worker::process::WorkerProcess;

/// The library that changes the time of a program.
fn faketime() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime"];
    let library =
        folders.iter().map(|folder| PathBuf::from(folder).join("libfaketime.so.1")).find(|path| path.exists());
    if library.is_none() {
        crate::shared::skip("libfaketime is not installed");
    }
    library
}

/// Before 1970, before the year 1000, and after 9999.
const WRONG: [&str; 4] = ["-80y", "-1200y", "+7990y", "+100000y"];

fn prelude(library: &std::path::Path, offset: &str) -> String {
    format!(
        "export LD_PRELOAD={} FAKETIME={offset} FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1",
        library.display()
    )
}

#[test]
fn compile_writes_readable_versions_at_any_time() {
    let Some(library) = faketime() else { return };
    for offset in WRONG {
        let project = Project::new();
        project.flow("order", "", "  load: {}");
        for flow in ["ship", "send"] {
            let ended = outcome(&mut in_shell(&project, &prelude(&library, offset), &["compile"]));
            assert_eq!(ended.code, 0, "{offset}: {ended}");
            project.flow(flow, "", "  load: {}");
        }
        let ended = outcome(&mut in_shell(&project, &prelude(&library, offset), &["check"]));
        assert_eq!(ended.code, 0, "{offset}: {ended}");
        // At the right time again, the folder is as usable as before.
        assert_eq!(project.migrations().len(), 2, "{offset}");
        let ended = project.run(&["compile"]);
        assert_eq!(ended.code, 0, "{offset}: {ended}");
        project.succeeds(&["compile", "--check"]);
        assert_eq!(project.migrations().len(), 3, "{offset}");
    }
}

#[test]
fn no_version_follows_the_last_one() {
    let project = Project::new();
    project.flow("order", "", "  load: {}");
    let first = project.compile();
    let last = format!("99991231235959{}", &first[14..]);
    let sql = project.read(&format!("migrations/{first}"));
    std::fs::remove_file(project.path("migrations").join(&first)).unwrap();
    project.write(&format!("migrations/{last}"), &sql.replace(&first[..14], &last[..14]));
    project.succeeds(&["compile", "--rehash"]);
    project.flow("ship", "", "  load: {}");
    let ended = project.run(&["compile"]);
    assert_in_order("compile", &ended);
    assert!(ended.code == 64 && ended.stderr.contains("is not newer than 99991231235959"), "{ended}");
    assert_eq!(project.migrations(), [last]);
}

#[tokio::test]
async fn commands_and_workers_run_at_any_time() {
    let Some(library) = faketime() else { return };
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    let triggers = "triggers: [{ name: often, cron: \"* * * * *\" }]";
    project.flow("order", triggers, "  load: { handler: { sql: \"select 1\" } }");
    project.compile();
    project.succeeds(&["apply"]);
    for offset in ["-80y", "+7990y"] {
        for arguments in [
            &["status"][..],
            &["plan"],
            &["drift"],
            &["doctor"],
            &["runs"],
            &["runs", "--since", "1h"],
            &["queues"],
            &["workers"],
            &["stalled"],
            &["stats"],
            &["prune", "--older-than", "1d", "--yes"],
        ] {
            let ended = outcome(&mut in_shell(&project, &prelude(&library, offset), arguments));
            assert_eq!(ended.code, 0, "{offset}: {arguments:?}: {ended}");
        }
        let arguments = ["worker", "--verbose", "--schedule", "--metrics", "127.0.0.1:0"];
        let worker =
            WorkerProcess::spawn(in_shell(&project, &prelude(&library, offset), &arguments), project.path("log"));
        worker.wait_for_log("working on order").await;
        worker.wait_for_log("watching schedules").await;
        let run = project.succeeds(&["start", "order"]).stdout;
        worker.wait_for_log(&format!("order.load run {} completed", run.trim())).await;
        worker.signal(Signal::TERM);
        let (code, log) = worker.exit();
        assert_eq!(code, Some(0), "{offset}: {log}");
        assert!(!log.contains("panicked"), "{offset}: {log}");
    }
}

/// Times that PostgreSQL has and most programs do not, in every column with a time.
#[tokio::test]
async fn any_time_of_the_database_is_shown() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    let triggers = "triggers: [{ name: often, cron: \"* * * * *\" }]";
    project.flow("order", triggers, "  load: {}\n  ship: { depends_on: [load] }");
    project.compile();
    project.succeeds(&["apply"]);
    let mut c = database.connect().await;
    let ids: Vec<String> = (0..2).map(|_| project.succeeds(&["start", "order"]).stdout.trim().to_owned()).collect();
    execute(
        &mut c,
        "insert into pgflow.workers (worker_id, queue_name, function_name) values ('00000000-0000-0000-0000-0000000000aa', 'order', 'x')",
    )
    .await;
    execute(
        &mut c,
        "select pgflow.start_tasks('order', array(select msg_id from pgmq.read('order', 60, 100)), '00000000-0000-0000-0000-0000000000aa')",
    )
    .await;
    execute(&mut c, &format!("select pgflow.complete_task('{}', 'load', 0, '1')", ids[0])).await;
    execute(&mut c, &format!("select pgflow.cancel_run('{}')", ids[1])).await;
    let columns = rows(
        &mut c,
        "select format('%I.%I set %I', n.nspname, r.relname, a.attname)
         from pg_class r join pg_namespace n on n.oid = r.relnamespace join pg_attribute a on a.attrelid = r.oid
         where n.nspname in ('pgflow', 'flowsmith', 'pgmq') and r.relkind = 'r' and a.atttypid = 'timestamptz'::regtype
           and not a.attisdropped order by 1",
    )
    .await;
    assert!(columns.len() > 15, "{columns:?}");
    for time in [
        "infinity",
        "-infinity",
        "294276-12-31 23:59:59.999999+00",
        "4713-01-01 00:00:00+00 BC",
        "0044-03-15 12:00+00 BC",
    ] {
        let mut set = 0;
        for column in &columns {
            // Some columns have constraints.
            let sql = format!("update {column} = '{time}'");
            set += usize::from(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut c).await.is_ok());
        }
        assert!(set * 2 > columns.len(), "{time}: {set} of {}", columns.len());
        for arguments in [
            &["status"][..],
            &["plan"],
            &["drift"],
            &["doctor"],
            &["runs"],
            &["runs", "--since", "1h"],
            &["show", &ids[0], "--full"],
            &["show", &ids[1]],
            &["watch", &ids[1]],
            &["queues"],
            &["workers"],
            &["workers", "--all"],
            &["stalled"],
            &["stats"],
            &["retire"],
            &["graph", "--run", &ids[0]],
        ] {
            // As text for two of them, which shows every format of a time.
            let is_text = matches!(time, "infinity" | "4713-01-01 00:00:00+00 BC") || matches!(arguments[0], "graph");
            let format: &[&str] = if is_text { &[] } else { &["--format", "json"] };
            let ended = project.run(&[arguments, format].concat());
            assert_in_order(&format!("{time}: {arguments:?}"), &ended);
            assert!(ended.code != 1 || arguments[0] == "watch", "{time}: {arguments:?}: {ended}");
            if !is_text && arguments[0] != "watch" {
                serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap();
            }
        }
    }
}
