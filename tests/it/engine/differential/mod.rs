//! Random flows and random calls, on the official engine and on ours with `input_style = merged`, in lock step: after every
//! call, what can be seen is the same in both. Where ours has a function of its own that does the same as calls of the
//! official engine, it is called at times.
//!
//! ```text
//! seed ─ dice.rs ─┬─> flow.rs    a flow
//!                 └─> script.rs  the next call (call.rs), from what can be seen ─> duel.rs ─┬─> side.rs, official ─┐
//!                                     ^                                                     └─> side.rs, ours ─────┤
//!                                     └───────────────────────── state.rs: what can be seen <──────────────────────┘
//! ```
//!
//! Not everything is the same: corrections.rs. A failure prints its seed and a script that repeats it, as short as could be
//! found. `FLOWSMITH_SEEDS=7` plays that seed alone, `FLOWSMITH_SEEDS=0..1000` a thousand.

mod call;
mod clock;
mod corrections;
mod dice;
mod duel;
mod flow;
mod script;
mod side;
mod state;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;

use flowsmith_postgres::engine::install::{InputStyle, install};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPool};

use self::duel::Duel;
use self::side::{Engine, Side, prepare};
use crate::engine::definitions::{execute, text};
use crate::fixture::official::{Official, official_install};
use crate::fixture::{Database, transitions};

/// In an ordinary run.
const SEEDS: Range<u64> = 0..12;

/// In a soak.
const MANY_SEEDS: Range<u64> = 0..50;

/// Where the seeds of a soak get to: both ends of runs and steps, steps without tasks, and every kind of error.
const EVERYTHING: [&str; 13] = [
    "23502",
    "23503",
    "23505",
    "P0001",
    "retry",
    "run:completed",
    "run:failed",
    "run:started",
    "step:completed",
    "step:completed, no task",
    "step:failed",
    "step:started",
    "wrong type",
];

/// The official engine, with workers.
pub(crate) async fn official_engine() -> Database {
    Database::from_template("differential_official", async |options| {
        official_install(&options, Official::V0_8_1).await;
        prepare(&options).await;
    })
    .await
}

/// Ours, with workers.
pub(crate) async fn merged_engine() -> Database {
    Database::from_template("differential_ours", async |options| {
        // The same pgmq as the official install has, whatever the server offers.
        let pool = PgPool::connect_with(options.clone()).await.unwrap();
        pgmq::install::install_sql_from_embedded(&pool).await.unwrap();
        execute(&mut pool.acquire().await.unwrap(), include_str!("../../fixture/official_realtime.sql")).await;
        pool.close().await;
        install(&options, InputStyle::Merged).await.unwrap();
        prepare(&options).await;
        transitions::record(&mut options.connect().await.unwrap()).await;
    })
    .await
}

#[tokio::test]
async fn engine_equals_the_official_one_on_random_calls() {
    let seen = compare_engines(seeds()).await;
    assert!(!seen.is_empty());
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn engine_equals_the_official_one_in_every_situation() {
    let seen = compare_engines(MANY_SEEDS).await;
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), EVERYTHING);
}

/// Where the calls of some seeds got to; panics if the engines differ.
async fn compare_engines(seeds: Range<u64>) -> BTreeSet<String> {
    let (official, ours) = (official_engine().await, merged_engine().await);
    let databases = [(Engine::Official, &official.options()), (Engine::Ours, &ours.options())];
    let seen = play_all(seeds, databases).unwrap_or_else(|report| panic!("{report}"));
    for (_, options) in databases {
        let others = text(&mut options.connect().await.unwrap(), "select count(*) from realtime.sent").await;
        assert_eq!(others.as_deref(), Some("0"), "an event went to the topic of no run");
    }
    let violations = "select string_agg(v::text, e'\\n') from pgflow.violations() v";
    assert_eq!(text(&mut ours.connect().await, violations).await, None);
    seen
}

#[tokio::test]
async fn difference_is_reported_with_a_short_script() {
    let (official, other) = (official_engine().await, official_engine().await);
    let slower = "create or replace function pgflow.calculate_retry_delay(base_delay numeric, attempts_count integer)
                  returns integer language sql as 'select (base_delay * 2 ^ attempts_count)::integer + 1'";
    execute(&mut other.connect().await, slower).await;
    let databases = [(Engine::Official, &official.options()), (Engine::Official, &other.options())];
    let report = play_all(MANY_SEEDS, databases).unwrap_err();
    let calls: Vec<_> = report.lines().filter(|line| line.contains("select * from ")).collect();
    // For a task of a map, whose dependency has to be completed first, five.
    assert!(calls.len() <= 5 && calls.last().unwrap().contains("pgflow.fail_task("), "{report}");
    assert!(report.contains(", vt\n"), "{report}");
}

/// Plays seeds on a few connections. Gives what was seen, or a report of the first that differs.
fn play_all(seeds: Range<u64>, databases: [(Engine, &PgConnectOptions); 2]) -> Result<BTreeSet<String>, String> {
    let seeds = Mutex::new(seeds);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(|| play_some(&seeds, databases))).collect();
        let seen = players.into_iter().map(|player| player.join().unwrap());
        seen.reduce(|all, some| Ok(all?.into_iter().chain(some?).collect())).unwrap()
    })
}

fn play_some(
    seeds: &Mutex<Range<u64>>,
    databases: [(Engine, &PgConnectOptions); 2],
) -> Result<BTreeSet<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let [(one, one_options), (two, two_options)] = databases;
        let sides = [Side::connect(one, one_options).await, Side::connect(two, two_options).await];
        let mut duel = Duel { names: ["official", "ours"], sides };
        let mut seen = BTreeSet::new();
        loop {
            let Some(seed) = seeds.lock().unwrap().next() else { return Ok(seen) };
            let play = duel.play_seed(seed).await;
            if play.difference.is_some() {
                // Nobody else need go on.
                seeds.lock().unwrap().end = 0;
                return Err(duel.report(seed, play).await);
            }
            seen.extend(play.seen);
        }
    })
}

fn seeds() -> Range<u64> {
    let Ok(seeds) = std::env::var("FLOWSMITH_SEEDS") else { return SEEDS };
    match seeds.split_once("..") {
        Some((start, end)) => start.parse().unwrap()..end.parse().unwrap(),
        None => {
            let seed: u64 = seeds.parse().unwrap();
            seed..seed + 1
        }
    }
}
