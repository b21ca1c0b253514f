//! Random flows and random calls, on the official engine and on ours with `input_style = merged`, in lock step: after every
//! call, what can be seen is the same in both.
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

use flowsmith::engine::install::{InputStyle, install};
use sqlx::postgres::{PgConnectOptions, PgPool};

use self::duel::Duel;
use self::side::{Engine, Side, prepare};
use crate::engine_definitions::execute;
use crate::official::{Official, official_install};
use crate::support::Database;

/// In an ordinary run.
const SEEDS: Range<u64> = 0..50;

/// The official engine, with workers.
pub(crate) async fn official() -> Database {
    Database::from_template("differential_official", async |options| {
        official_install(&options, Official::V0_8_1).await;
        prepare(&options).await;
    })
    .await
}

/// Ours, with workers.
pub(crate) async fn ours() -> Database {
    Database::from_template("differential_ours", async |options| {
        // The same pgmq as the official install has, whatever the server offers.
        let pool = PgPool::connect_with(options.clone()).await.unwrap();
        pgmq::install::install_sql_from_embedded(&pool).await.unwrap();
        execute(&mut *pool.acquire().await.unwrap(), include_str!("../official_realtime.sql")).await;
        pool.close().await;
        install(&options, InputStyle::Merged).await.unwrap();
        prepare(&options).await;
    })
    .await
}

#[tokio::test]
async fn our_engine_cannot_be_told_from_the_official_one() {
    let (official, ours) = (official().await, ours().await);
    let seen = play_all(seeds(), [(Engine::Official, &official.options()), (Engine::Ours, &ours.options())]);
    if seeds() == SEEDS {
        // The scripts get everywhere: to both ends of runs and steps, and to every kind of error.
        let everything = ["run:completed", "run:failed", "run:started", "step:completed", "step:failed", "step:started"];
        let errors = ["23502", "23503", "23505", "P0001"];
        assert_eq!(seen, errors.iter().chain(&everything).map(|seen| (*seen).to_owned()).collect());
    }
}

#[tokio::test]
async fn the_official_engine_cannot_be_told_from_itself() {
    let (one, two) = (official().await, official().await);
    play_all(seeds(), [(Engine::Official, &one.options()), (Engine::Official, &two.options())]);
}

/// Plays seeds on a few connections; panics with a report of the first that differs. Gives what was seen.
fn play_all(seeds: Range<u64>, databases: [(Engine, &PgConnectOptions); 2]) -> BTreeSet<String> {
    let seeds = Mutex::new(seeds);
    let seen = Mutex::new(BTreeSet::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(|| play_some(&seeds, databases, &seen))).collect();
        for player in players {
            player.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    seen.into_inner().unwrap()
}

fn play_some(seeds: &Mutex<Range<u64>>, databases: [(Engine, &PgConnectOptions); 2], seen: &Mutex<BTreeSet<String>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let [(one, one_options), (two, two_options)] = databases;
        let sides = [Side::connect(one, one_options).await, Side::connect(two, two_options).await];
        let mut duel = Duel { names: ["official", "ours"], sides };
        loop {
            let Some(seed) = seeds.lock().unwrap().next() else { return };
            let play = duel.play_seed(seed).await;
            if play.difference.is_some() {
                // Nobody else need go on.
                seeds.lock().unwrap().end = 0;
                panic!("{}", duel.report(seed, play).await);
            }
            seen.lock().unwrap().extend(play.seen);
        }
    });
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
