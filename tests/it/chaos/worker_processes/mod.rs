//! Worker processes under load while workers, the server and the pooler are killed: every run completes, every query takes effect
//! exactly once, every program and request runs at least once, and no run is lost.
//!
//! ```text
//! seed ─ faults.rs: which process is killed, and when ─> inject.rs ─┬─> workers.rs  workers, connected directly and by a pooler
//!                                                                   └─> fixture.rs  server, pooler, flows, HTTP server
//!        runs.rs: starts runs in batches, as fast as they end
//!        assertions.rs: every run, task and call; unfinished runs on failure
//! ```
//!
//! By default, the test is short. `FLOWSMITH_CHAOS_RUNS=10000` is a full test, in which the tasks of killed workers really wait for
//! their timeout. `FLOWSMITH_CHAOS_SEED=7` repeats the faults of an earlier test.

mod assertions;
mod client;
mod faults;
mod fixture;
mod inject;
mod runs;
mod workers;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join;

use self::assertions::{Tally, assert_consistent};
use self::fixture::Fixture;
use self::inject::{inject, until_completed};
use self::runs::start_runs;
use self::workers::Workers;
use crate::engine::concurrency::operators::Random;

/// The default number of runs.
const RUNS: usize = 200;

/// The longest time in which no run completes, on a machine that may stall for minutes.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(300);

/// The size of a test, and its seed.
#[derive(Clone, Copy)]
struct Size {
    runs: usize,
    seed: u64,
}

impl Size {
    fn from_environment() -> Self {
        let setting = |name: &str| {
            let value = std::env::var(name).ok()?;
            Some(value.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
        };
        let runs = setting("FLOWSMITH_CHAOS_RUNS").map_or(RUNS, |runs| usize::try_from(runs).unwrap());
        let now = || u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_micros());
        Self { runs, seed: setting("FLOWSMITH_CHAOS_SEED").unwrap_or_else(now) }
    }

    /// A source of random choices; each user has a separate one.
    fn random(self, user: u64) -> Random {
        Random::new(self.seed.wrapping_mul(31).wrapping_add(user))
    }

    /// Whether the timestamps of orphaned tasks are moved back, so that the recovery requeues them at once.
    fn advances_time(self) -> bool {
        self.runs < 1000
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "figures, and the seed to repeat the test")]
async fn runs_complete_and_queries_run_once_despite_kills() {
    let size = Size::from_environment();
    eprintln!("FLOWSMITH_CHAOS_RUNS={} FLOWSMITH_CHAOS_SEED={}", size.runs, size.seed);
    let Some(mut fixture) = Fixture::create(size).await else { return };
    let began = Instant::now();
    let mut workers = Workers::start_all(&fixture);
    let faults = faults::plan(size);
    let routes = fixture.routes.clone();
    join(start_runs(&routes, size), inject(&mut fixture, &mut workers, &faults)).await;
    until_completed(&fixture, &mut workers, size.runs).await;
    let duration = began.elapsed();
    workers.stop_all(&fixture).await;

    let tally = Tally::read(&fixture).await;
    assert_consistent(&fixture, &tally).await;
    let (faults, workers) = (faults::summary(&faults), workers.summary());
    eprintln!("{faults} in {:.1} s: {tally}; {workers}", duration.as_secs_f64());
}
