//! Measures the pipeline from flow files to the database: `cargo bench --bench pipeline`. Takes about three minutes, prints
//! a table and asserts no times.
//!
//! Each figure is of a whole process that starts without any cache of flowsmith's. If it depends on the server, the same run
//! also measures the unavoidable part of the work on that server.

#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

mod generate;
mod measure;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flowsmith_devserver::{Durability, Lifetime, Server, Settings, provide};
use flowsmith_postgres::engine::install::{InputStyle, install};
use measure::{Run, flowsmith, median};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _};

const RUNS: usize = 5;

fn main() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pipeline");
    let _ = fs::remove_dir_all(&folder);
    let large = folder.join("large");
    generate::project(&large, 10_000, 20);
    let deep = folder.join("deep");
    generate::project(&deep, 1, 10_000);
    let new = folder.join("new");
    generate::project(&new, 1_000, 20);

    println!("10,000 flow files of 20 steps");
    row("check", median(RUNS, || flowsmith(&large, &["-q", "check"])));
    row("check + compile", median(RUNS, || compile(&large)));
    let one = "flows/order/order_0.yaml";
    row("check of one file", median(RUNS, || flowsmith(&large, &["-q", "check", one])));
    println!("  (reading the other files alone takes {:.0?})", reading(&large));
    println!("one flow of 10,000 steps");
    row("check + compile", median(RUNS, || compile(&deep)));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let binaries = provide(&Settings::from_env(), &|text| println!("{text}")).expect("a PostgreSQL server");
    let server = Server::start(&binaries, &folder.join("postgres"), Durability::Durable, Lifetime::Owner)
        .expect("the server starts");
    runtime.block_on(async {
        new_flows(&server, &new).await;
        live_flows(&server, &large).await;
    });
}

fn row(what: &str, run: Run) {
    println!(
        "  {what:24} {:>8.2} s   {:>6.2} s CPU   {:>4} MB",
        run.wall.as_secs_f64(),
        run.cpu.as_secs_f64(),
        run.memory
    );
}

fn compile(project: &Path) -> Run {
    let _ = fs::remove_dir_all(project.join("migrations"));
    flowsmith(project, &["-q", "compile"])
}

/// The time to read every file: the lower bound of every command that checks them all.
fn reading(project: &Path) -> Duration {
    let start = Instant::now();
    for area in fs::read_dir(project.join("flows")).expect("a folder") {
        for file in fs::read_dir(area.expect("an entry").path()).expect("a folder") {
            fs::read(file.expect("an entry").path()).expect("a file");
        }
    }
    start.elapsed()
}

/// Creates a database with the engine; returns its connection options and its URL.
async fn database(server: &Server, name: &str) -> (PgConnectOptions, String) {
    server.ensure_database(name).await.expect("a database");
    let options = server.connect_options(name);
    install(&options, InputStyle::Separate).await.expect("the engine");
    (options, server.url(name))
}

/// Applies 1,000 new flows, and creates 1,000 queues and nothing else.
async fn new_flows(server: &Server, project: &Path) {
    compile(project);
    let mut ratios = Vec::new();
    println!("1,000 new flows of 20 steps, against 1,000 times pgmq.create on the same durable server");
    for round in 0..RUNS {
        let (queues, _) = database(server, &format!("queues_{round}")).await;
        let start = Instant::now();
        create_queues(&queues).await;
        let floor = start.elapsed();
        let (_, url) = database(server, &format!("apply_{round}")).await;
        let run = flowsmith(project, &["-q", "apply", "--database", &url]);
        println!("  queues {:>6.2} s   apply {:>6.2} s", floor.as_secs_f64(), run.wall.as_secs_f64());
        ratios.push(run.wall.as_secs_f64() / floor.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!("  median ratio {:.2}", ratios[RUNS / 2]);
}

/// Creates as many queues per transaction as a migration does, in one round trip: the lower bound of `apply`.
async fn create_queues(options: &PgConnectOptions) {
    let mut connection = options.connect().await.expect("a connection");
    for chunk in 0..4 {
        let calls: String = (0..250).map(|number| format!("select pgmq.create('queue_{chunk}_{number}');")).collect();
        let transaction = format!("begin; {calls} commit;");
        sqlx::raw_sql(AssertSqlSafe(transaction)).execute(&mut connection).await.expect("queues");
    }
}

/// Measures `plan` and `drift` with 10,000 live flows. The flows have no queues, which neither command reads: creating 20,000
/// tables would take longer than everything else.
async fn live_flows(server: &Server, project: &Path) {
    let (options, url) = database(server, "live").await;
    let mut connection = options.connect().await.expect("a connection");
    sqlx::raw_sql(include_str!("without_queues.sql")).execute(&mut connection).await.expect("a stand-in");
    compile(project);
    let database = ["--database", &url];
    row("(applying them)", flowsmith(project, &[&["-q", "apply"], &database[..]].concat()));
    println!("10,000 live flows of 20 steps");
    row("plan", median(RUNS, || flowsmith(project, &[&["plan"], &database[..]].concat())));
    row("drift", median(RUNS, || flowsmith(project, &[&["drift"], &database[..]].concat())));
}
