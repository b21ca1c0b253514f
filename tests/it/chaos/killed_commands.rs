//! Commands killed at random moments, by SIGKILL of the program or of the whole server. After each kill, the folder and the
//! database are as before or as after the command, or between two of its steps, and the same command completes the work.
//!
//! `FLOWSMITH_KILLS` is the number of kills of each command (default 6).

#![allow(clippy::print_stderr, reason = "a soak prints its figures")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use flowsmith_postgres::engine::install::{InputStyle, install};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::engine::concurrency::operators::Random;
use crate::fixture::Database;
use crate::fixture::command::{Project, flowsmith_engine};
use crate::program::up::embedded;
use crate::worker::restartable::Restartable;

const FLOWS: usize = 12;

/// A command, the state from which it starts, and what holds after its kill and after its completion.
struct Command {
    name: &'static str,
    arguments: &'static [&'static str],
    has_engine: bool,
    /// SQL before the command.
    prepared: &'static str,
    /// Commands before the command.
    before: &'static [&'static [&'static str]],
    /// Queries that return no row in every state that a kill may leave.
    invariants: &'static [&'static str],
    /// Commands that succeed after the same command has completed the work.
    after: &'static [&'static [&'static str]],
}

/// A migration is recorded with its flows or not at all, and every flow has its queue.
const WHOLE_MIGRATIONS: &[&str] = &[
    "select from flowsmith.flow_versions v where not exists (select from flowsmith.migrations m where m.version = v.migration)",
    "select from flowsmith.flow_versions v where not flowsmith.flows_match(array[v.flow_slug])",
    "select from pgflow.flows f where not exists (select from pgmq.meta q where q.queue_name = f.flow_slug)",
];

const RUNS: &[&str] = &["select from pgflow.violations()"];

const COMMANDS: &[Command] = &[
    Command {
        name: "compile",
        arguments: &["compile"],
        has_engine: true,
        prepared: "",
        before: &[],
        invariants: &[],
        after: &[&["compile", "--check"], &["apply"], &["drift"]],
    },
    Command {
        name: "apply",
        arguments: &["apply"],
        has_engine: true,
        prepared: "",
        before: &[&["compile"]],
        invariants: WHOLE_MIGRATIONS,
        after: &[&["drift"], &["compile", "--check"]],
    },
    Command {
        name: "install",
        arguments: &["install"],
        has_engine: false,
        prepared: "",
        before: &[],
        // The parts of an installation are committed together.
        invariants: &[
            "select from pg_namespace where nspname = 'flowsmith' having count(*) <> (select count(*) from pg_namespace where nspname = 'pgflow')",
        ],
        after: &[&["doctor"], &["compile"], &["apply"], &["drift"]],
    },
    Command {
        name: "retire",
        arguments: &["retire", "f0@1", "--yes"],
        has_engine: true,
        prepared: "",
        before: &[&["compile"], &["apply"]],
        invariants: WHOLE_MIGRATIONS,
        after: &[&["drift"], &["compile", "--check"]],
    },
    Command {
        name: "prune",
        arguments: &["prune", "--older-than", "1s", "--yes"],
        has_engine: true,
        prepared:
            "select pgflow.create_flow('p', max_attempts => 1); select pgflow.add_step('p', 's');
            select count(*) from generate_series(1, 3000) n, pgflow.start_flow('p', '{}') r;
            select count(*) from pgflow.runs r, pgflow.cancel_run(r.run_id) c;
            update pgflow.runs set started_at = started_at - interval '1 day', failed_at = failed_at - interval '1 day'",
        before: &[],
        invariants: RUNS,
        after: &[],
    },
];

fn kills() -> usize {
    std::env::var("FLOWSMITH_KILLS").map_or(6, |text| text.parse().unwrap())
}

/// Flow files; `f0` has its second version, so that its first one can be retired.
fn write_flows(project: &Project, version: u32) {
    for n in 0..FLOWS {
        let version = if n == 0 { version } else { 1 };
        project.flow(
            &format!("f{n}"),
            &format!("version: {version}"),
            "  a: {}\n  b: { map: a }\n  c: { depends_on: [b] }",
        );
    }
}

/// A project in the state before the command.
async fn prepare(command: &Command, project: &Project, c: &mut PgConnection) {
    let is_retire = command.name == "retire";
    write_flows(project, 1);
    for before in command.before {
        project.succeeds(before);
    }
    if is_retire {
        write_flows(project, 2);
        std::thread::sleep(Duration::from_millis(10));
        project.succeeds(&["compile"]);
        project.succeeds(&["apply"]);
    }
    if !command.prepared.is_empty() {
        sqlx::raw_sql(command.prepared).execute(c).await.unwrap();
    }
}

/// The file names in the project, and what the session of the program is doing: the point at which it is killed.
async fn point(project: &Project, observer: &mut PgConnection) -> String {
    let mut files: Vec<String> = std::fs::read_dir(project.path("migrations"))
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    files.sort_unstable();
    let kinds: BTreeSet<&str> = files.iter().map(|name| name.rsplit('.').next().unwrap_or_default()).collect();
    let activity = "select concat_ws(' ', state, wait_event, left(regexp_replace(query, '\\s+', ' ', 'g'), 60), backend_xid is not null) as doing
        from pg_stat_activity where application_name like 'flowsmith%' and datname = current_database()";
    let rows = sqlx::raw_sql(activity).fetch_all(observer).await.unwrap_or_default();
    let doing: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    format!("{} files {kinds:?}; {doing:?}", files.len())
}

async fn assert_invariants(command: &Command, c: &mut PgConnection, point: &str) {
    for query in command.invariants {
        let rows = sqlx::raw_sql(AssertSqlSafe(*query)).fetch_all(&mut *c).await;
        let rows = rows.unwrap_or_else(|error| panic!("{}: {point}: {query}: {error}", command.name));
        assert!(rows.is_empty(), "{}: {point}: {query}", command.name);
    }
}

/// Completes the work of a killed command, and asserts that the result is that of an undisturbed one.
async fn complete(command: &Command, project: &Project, c: &mut PgConnection, point: &str) {
    let again = project.run(command.arguments);
    // A retired version cannot be retired again.
    let is_done = again.code == 0 || command.name == "retire" && again.all_output().contains("f0@1");
    assert!(is_done, "{}: {point}: {again}", command.name);
    for after in command.after {
        let outcome = project.run(after);
        assert_eq!(outcome.code, 0, "{}: {point}: {after:?}: {outcome}", command.name);
    }
    assert_invariants(command, c, point).await;
    let left = match command.name {
        "prune" => "select count(*) from pgflow.runs",
        "retire" => "select count(*) from pgflow.flows where flow_slug = 'f0'",
        _ => "select abs(count(*) - 12) from pgflow.flows",
    };
    let left: i64 = sqlx::query_scalar(left).fetch_one(c).await.unwrap();
    assert_eq!(left, 0, "{}: {point}", command.name);
}

/// The time that the command takes if it is not killed.
fn timed(project: &Project, arguments: &[&str]) -> Duration {
    let began = Instant::now();
    project.succeeds(arguments);
    began.elapsed()
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn killed_program_leaves_a_state_that_the_same_command_completes() {
    for command in COMMANDS {
        let random = &mut Random::new(7);
        let mut points = BTreeSet::new();
        let mut whole = Duration::ZERO;
        for kill in 0..=kills() {
            let database = if command.has_engine { flowsmith_engine().await } else { Database::create().await };
            let (c, observer) = (&mut database.connect().await, &mut database.connect().await);
            let project = Project::on(&database);
            prepare(command, &project, c).await;
            if kill == 0 {
                whole = timed(&project, command.arguments);
                continue;
            }
            let mut child = project.start(command.arguments);
            let delay = random.below(whole.as_micros() as usize + 2000) as u64;
            tokio::time::sleep(Duration::from_micros(delay)).await;
            let point = point(&project, observer).await;
            child.kill().unwrap();
            child.wait().unwrap();
            // The server notices the lost connection when it next reads from it.
            let gone = "select count(*) from pg_stat_activity where application_name like 'flowsmith%' and datname = current_database()";
            while sqlx::query_scalar::<_, i64>(gone).fetch_one(&mut *observer).await.unwrap() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            assert_invariants(command, c, &point).await;
            complete(command, &project, c, &point).await;
            points.insert(point);
        }
        eprintln!("{}: {} kills, {} distinct points, {whole:?} undisturbed", command.name, kills(), points.len());
        assert!(points.len() > 1 || kills() < 20, "{points:?}");
    }
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn killed_server_leaves_a_state_that_the_same_command_completes() {
    let mut server = Restartable::start("killed_under_commands").await;
    // `compile` uses no server.
    for command in COMMANDS.iter().filter(|command| command.name != "compile") {
        let random = &mut Random::new(11);
        let mut points = BTreeSet::new();
        let mut whole = Duration::ZERO;
        for kill in 0..=kills() {
            sqlx::raw_sql("drop schema if exists pgflow, flowsmith, flowsmith_triggers, pgmq, realtime cascade")
                .execute(&mut server.connect().await)
                .await
                .unwrap();
            if command.has_engine {
                install(&server.options(), InputStyle::Separate).await.unwrap();
            }
            let mut c = server.connect().await;
            let mut observer = server.connect().await;
            let project = Project::new().with("DATABASE_URL", &server.url());
            prepare(command, &project, &mut c).await;
            if kill == 0 {
                whole = timed(&project, command.arguments);
                continue;
            }
            let mut child = project.start(command.arguments);
            let delay = random.below(whole.as_micros() as usize + 2000) as u64;
            tokio::time::sleep(Duration::from_micros(delay)).await;
            let point = point(&project, &mut observer).await;
            server.kill().await;
            let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
            assert!(status.code().is_some_and(|code| code <= 5), "{}: {point}: {status}", command.name);
            server.restart().await;
            c = server.connect().await;
            assert_invariants(command, &mut c, &point).await;
            complete(command, &project, &mut c, &point).await;
            points.insert(point);
        }
        eprintln!(
            "{}: {} kills of the server, {} distinct points, {whole:?} undisturbed",
            command.name,
            kills(),
            points.len()
        );
        assert!(points.len() > 1 || kills() < 20, "{points:?}");
    }
}

#[test]
#[ignore = "soak: `cargo soak`"]
fn killed_up_leaves_a_project_that_up_completes() {
    let random = &mut Random::new(13);
    let mut points = BTreeSet::new();
    let mut whole = Duration::ZERO;
    for kill in 0..=kills() {
        let embedded = embedded();
        let project = &embedded.0;
        write_flows(project, 1);
        if kill == 0 {
            whole = timed(project, &["up"]);
            continue;
        }
        let mut child = project.start(&["up"]);
        let delay = random.below(whole.as_micros() as usize + 2000) as u64;
        std::thread::sleep(Duration::from_micros(delay));
        // The data of the server is in the state folder of the user, whose home is the project here.
        let count = |folder: &Path| std::fs::read_dir(folder).map_or(0, |entries| entries.count());
        let state = project.path(".local/state/flowsmith");
        let servers = std::fs::read_dir(state).into_iter().flatten().flatten().map(|entry| entry.path());
        let files: Vec<usize> = servers
            .flat_map(|server| [count(&server), count(&server.join("data.new")), count(&server.join("data"))])
            .collect();
        let point = format!("{} migrations, {files:?} files", count(&project.path("migrations")));
        child.kill().unwrap();
        child.wait().unwrap();
        let again = project.run(&["up"]);
        assert_eq!(again.code, 0, "{point}: {again}");
        for after in [&["drift"][..], &["compile", "--check"], &["doctor"]] {
            project.succeeds(after);
        }
        points.insert(point);
    }
    eprintln!("up: {} kills, {} distinct points, {whole:?} undisturbed", kills(), points.len());
    assert!(points.len() > 1 || kills() < 20, "{points:?}");
}
