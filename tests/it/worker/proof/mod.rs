//! Worker processes under load while workers, the server and the pooler are killed: every run completes, every query is done
//! exactly once, every program and request at least once, and no run is lost.
//!
//! ```text
//! seed ─ blows.rs: who is struck when ─> strike.rs ─┬─> crew.rs     workers, directly and through a pooler
//!                                                   └─> stage.rs    the server, the pooler, the flows, what they call
//!        starter.rs: runs, in batches, as fast as they end
//!        verdict.rs: what has become of every run, task and call; what is left, where it does not end
//! ```
//!
//! An ordinary run is short. `FLOWSMITH_PROOF_RUNS=10000` is the proof, and in it nobody moves the clock: tasks of killed
//! workers wait until their time is over. `FLOWSMITH_PROOF_SEED=7` strikes as another run did.

mod blows;
mod client;
mod crew;
mod stage;
mod starter;
mod strike;
mod verdict;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join;

use self::blows::blows;
use self::crew::Crew;
use self::stage::Stage;
use self::starter::start_runs;
use self::strike::{strike, until_completed};
use self::verdict::{Tally, assert_kept};
use crate::engine::concurrency::operators::Dice;

/// In an ordinary run.
const RUNS: usize = 200;

/// The longest time in which no run completes, on a machine that may stop for minutes.
const PATIENCE: Duration = Duration::from_secs(300);

/// How much is to be done, and by which dice.
#[derive(Clone, Copy)]
struct Size {
    runs: usize,
    seed: u64,
}

impl Size {
    fn of_this_run() -> Self {
        let setting = |name: &str| {
            let value = std::env::var(name).ok()?;
            Some(value.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
        };
        let runs = setting("FLOWSMITH_PROOF_RUNS").map_or(RUNS, |runs| usize::try_from(runs).unwrap());
        let now = || u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_micros());
        Self { runs, seed: setting("FLOWSMITH_PROOF_SEED").unwrap_or_else(now) }
    }

    /// A source of choices; each of its users has one of its own.
    fn dice(self, user: u64) -> Dice {
        Dice::new(self.seed.wrapping_mul(31).wrapping_add(user))
    }

    /// Whether time passes at once for what the dead have left.
    fn moves_time(self) -> bool {
        self.runs < 1000
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "figures, and how to strike like this again")]
async fn every_run_completes_and_every_query_is_done_once_whoever_is_killed() {
    let size = Size::of_this_run();
    eprintln!("FLOWSMITH_PROOF_RUNS={} FLOWSMITH_PROOF_SEED={}", size.runs, size.seed);
    let Some(mut stage) = Stage::set(size).await else { return };
    let began = Instant::now();
    let mut crew = Crew::hire_all(&stage);
    let blows = blows(size);
    let doors = stage.doors.clone();
    join(start_runs(&doors, size), strike(&mut stage, &mut crew, &blows)).await;
    until_completed(&stage, &mut crew, size.runs).await;
    let took = began.elapsed();
    crew.dismiss(&stage).await;

    let tally = Tally::take(&stage).await;
    assert_kept(&stage, &tally).await;
    eprintln!("{} in {:.1} s: {tally}; {}", blows::in_words(&blows), took.as_secs_f64(), crew.in_words());
}
