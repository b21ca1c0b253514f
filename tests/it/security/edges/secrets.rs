//! Programs and servers repeat the secrets of their requests, in any encoding. Neither the log nor the database has them.

use std::fmt::Write as _;

use rustix::process::Signal;

use crate::fixture::command::{Project, flowsmith_engine};
use crate::shared::encoders::ENCODERS;
use crate::worker::process::WorkerProcess;

const TOKEN: &str = "t0k/en+\"of & <é>'\\x";
const PASSWORD: &str = "p@ss/w0rd?";

#[tokio::test]
async fn secrets_that_programs_print_reach_neither_log_nor_database() {
    let database = flowsmith_engine().await;
    let url = format!("{}&password=p%40ss%2Fw0rd%3F", database.url());
    let project = Project::new().with("DATABASE_URL", &url).with("API_TOKEN", TOKEN);
    let step =
        |name: &str, line: &str| format!("  {name}: {{ when_exhausted: skip, handler: {{ exec: \"{line}\" }} }}");
    let steps = [
        step("failing", "cat leaks >&2; exit 3"),
        step("prose", "cat leaks"),
        step("environment", "env >&2; exit 4"),
        // A secret where a line of the log is split, and where the excerpt is cut.
        step("long", "cat long >&2; exit 5"),
        step("cut", "cat cut"),
    ];
    project.flow("f", "defaults: { max_attempts: 1 }", &steps.join("\n"));
    project.compile();
    project.succeeds(&["apply"]);
    let encoded: Vec<(&str, String)> = [TOKEN, PASSWORD]
        .into_iter()
        .flat_map(|secret| {
            ENCODERS
                .iter()
                .flat_map(move |(name, encode)| [(*name, encode(secret)), (*name, encode(&format!("user:{secret}")))])
        })
        .collect();
    let mut leaks = String::new();
    for (name, text) in &encoded {
        writeln!(leaks, "{name}: {text}").unwrap();
    }
    project.write("leaks", &leaks);
    project.write("long", &format!("{}{TOKEN} {}\n", "x".repeat((8 << 10) - 5), "y".repeat(9 << 10)));
    project.write("cut", &format!("{}{TOKEN}", "z".repeat(490)));

    let worker = WorkerProcess::start(&project, &[]);
    project.succeeds(&["start", "f"]);
    for step in ["failing", "prose", "environment", "long", "cut"] {
        worker.wait_for_log(&format!("f.{step} run")).await;
    }
    let mut c = database.connect().await;
    let ended = "select count(*) = 5 from pgflow.step_tasks where status = 'failed'";
    while !sqlx::query_scalar::<_, bool>(ended).fetch_one(&mut c).await.unwrap() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    worker.signal(Signal::TERM);
    let (code, log) = worker.exit();
    assert_eq!(code, Some(0), "{log}");
    let errors: Vec<String> = sqlx::query_scalar("select error_message from pgflow.step_tasks order by step_slug")
        .fetch_all(&mut c)
        .await
        .unwrap();
    let shown = project.run(&["show", "--full", &run_of(&project)]).stdout;
    for text in errors.iter().chain([&log, &shown]) {
        for (name, encoded) in &encoded {
            assert!(!text.contains(encoded.as_str()), "{name}: {encoded} is in {text}");
        }
        assert!(!text.contains("t0k") && !text.contains("p@ss"), "{text}");
    }
    assert!(log.matches("${env:API_TOKEN}").count() > 30, "{log}");
    // What surrounds a secret is kept.
    assert!(log.contains("plain: user:${env:API_TOKEN}") && log.contains("API_TOKEN=${env:API_TOKEN}"), "{log}");
    assert!(log.contains(&format!("{}${{env:API_TOKEN}}", "x".repeat(100))) && log.contains(" yyy"), "{log}");
}

/// The only run.
fn run_of(project: &Project) -> String {
    let runs: serde_json::Value =
        serde_json::from_str(&project.succeeds(&["runs", "--format", "json"]).stdout).unwrap();
    runs["runs"][0]["run_id"].as_str().unwrap().to_owned()
}

/// A password that is not encoded is refused before a part of it is taken for a host or a database, and is not printed.
#[test]
fn passwords_in_urls_are_not_printed() {
    let project = Project::new();
    project.flow("order", "", "  load: { handler: { exec: cat } }");
    for url in [
        "postgres://app:s3c/ret@127.0.0.1:1/app",
        "postgres://app:12/s3cret@127.0.0.1:1/app",
        "postgres://app:12#s3cret@127.0.0.1:1/app",
        "postgres://app:12?s3cret@127.0.0.1:1/app",
        "postgres://app:s3cret@127.0.0.1:s3cret/app",
        "postgres://app:s3cret%zz@[::1/app",
        "postgres://app:s3cret@127.0.0.1:1/app",
        "postgres://app@127.0.0.1:1/app?password=s3cret",
        "mysql://app:s3cret@127.0.0.1:1/app",
    ] {
        for way in [&["status"][..], &["status", "--verbose"], &["worker", "--wait-for-server", "0s"]] {
            let outcome = project.run(&[way, &["--database", url]].concat());
            assert!(matches!(outcome.code, 1 | 64), "{url}: {outcome}");
            assert!(
                !outcome.all_output().contains("cret") && !outcome.all_output().contains("12/"),
                "{url}: {outcome}"
            );
        }
    }
}
