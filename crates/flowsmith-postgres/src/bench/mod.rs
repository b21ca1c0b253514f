//! What the engine of a database can do, measured with flows whose handlers do nothing.
//!
//! ```text
//! Bench::open: what the engine has → protocol, names of this bench's own
//!    │
//!    ▼
//! Bench::run: each scenario, each repetition: create → start → process → events arrive → delete   (repetition)
//!    │                                          meanwhile: memory and processor time sampled      (sample)
//!    ▼
//! BenchReport: means and deviations (statistics)          Bench::clean, however it ended
//! ```
//!
//! Every flow is named `flowsmith_bench_<random>_…`, so that nothing of the user's is touched and all of it can be found
//! and deleted. Runs have ids that are known before they start, so events are told from those of other runs.

mod abilities;
mod clean;
mod error;
mod events;
mod load;
mod repetition;
mod sample;
mod scenario;
mod statistics;

pub use error::BenchError;
pub use sample::Usage;
pub use scenario::Scenario;
pub use statistics::Summary;

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use crate::database::Target;
use abilities::Abilities;
use repetition::{Repetition, Setting};
use sample::Sampler;

/// How much is measured, and how.
#[derive(Debug, Clone)]
pub struct BenchSettings {
    /// What kinds of flow, in this order.
    pub scenarios: Vec<Scenario>,
    /// Runs of each repetition.
    pub runs: usize,
    /// Connections that start runs and process tasks.
    pub workers: usize,
    /// Messages that a worker takes at once.
    pub batch: usize,
    /// How workers talk to the engine; none = in batches where the engine can.
    pub protocol: Option<Protocol>,
    /// Repetitions that count.
    pub repetitions: usize,
    /// Repetitions before these, which do not.
    pub warm_up: usize,
}

/// How workers talk to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// As pgflow's workers: read, start, complete one by one.
    Single,
    /// flowsmith's own: take a batch in one call, complete it in another.
    Batch,
}

impl Protocol {
    /// The word of `--protocol` and of reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Batch => "batch",
        }
    }
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct BenchReport {
    /// With what; the protocol is the one that was used.
    pub settings: BenchSettings,
    /// The protocol that was used.
    pub protocol: Protocol,
    /// One a scenario.
    pub scenarios: Vec<ScenarioReport>,
}

impl BenchReport {
    /// Whether every event that could be counted arrived, once.
    pub fn is_complete(&self) -> bool {
        self.scenarios
            .iter()
            .filter_map(|scenario| scenario.delivery.as_ref())
            .all(|delivery| delivery.expected == delivery.received)
    }
}

/// What one scenario gave, phase by phase.
#[derive(Debug, Clone)]
pub struct ScenarioReport {
    /// Which.
    pub scenario: Scenario,
    /// Runs of a repetition.
    pub runs: usize,
    /// Tasks of a repetition.
    pub tasks: usize,
    /// Creating the flow with its queue and steps, in milliseconds.
    pub creation: Summary,
    /// Runs started in a second.
    pub start: Summary,
    /// Tasks processed in a second.
    pub processing: Summary,
    /// Events; none where they do not go out as notifications.
    pub delivery: Option<Delivery>,
    /// What this process took.
    pub benchmark: Option<Usage>,
    /// What the server took, where it runs on this machine.
    pub server: Option<Usage>,
}

/// How events arrived: those that say that a run has started or has ended.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// How many there should be, over all repetitions that count.
    pub expected: usize,
    /// How many there were.
    pub received: usize,
    /// From the answer to the call that causes an event to its arrival, in milliseconds; none where none arrived.
    pub latency: Option<Summary>,
}

/// A step on the way.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is measured.
    pub scenario: Scenario,
    /// Which repetition has ended, from 1; warm-up ones come first.
    pub repetition: usize,
    /// Out of how many.
    pub of: usize,
    /// Whether it counts.
    pub counts: bool,
    /// Tasks in a second.
    pub rate: f64,
}

/// A bench of one database. [`Bench::clean`] is to be called however [`Bench::run`] ends.
#[derive(Debug)]
pub struct Bench {
    target: Target,
    settings: BenchSettings,
    protocol: Protocol,
    abilities: Abilities,
    /// The server's first process, where it is on this machine.
    postmaster: Option<u32>,
}

impl Bench {
    /// Looks what the engine can do. Writes nothing.
    ///
    /// # Errors
    /// [`BenchError::NoRuntime`] where the engine cannot run flows, [`BenchError::NoBatches`] where it does not have the
    /// protocol that is asked for.
    pub async fn open(target: &Target, settings: BenchSettings) -> Result<Self, BenchError> {
        let mut connection = target.connect().await?;
        let abilities = Abilities::of(&mut connection).await?;
        // Found through this connection's process, which ends with it.
        let local = target.options().get_socket().map(|_| abilities.backend);
        let postmaster = local.and_then(sample::postmaster);
        if !abilities.runtime_lacks.is_empty() {
            return Err(BenchError::NoRuntime { lacks: abilities.runtime_lacks });
        }
        let protocol = match settings.protocol {
            Some(Protocol::Batch) if !abilities.batch_lacks.is_empty() => {
                return Err(BenchError::NoBatches { lacks: abilities.batch_lacks });
            }
            Some(protocol) => protocol,
            None if abilities.batch_lacks.is_empty() => Protocol::Batch,
            None => Protocol::Single,
        };
        Ok(Self { target: target.clone(), settings, protocol, abilities, postmaster })
    }

    /// Flows that earlier benches have left, or that another one works with right now.
    pub fn others(&self) -> &[String] {
        &self.abilities.others
    }

    /// Measures.
    ///
    /// # Errors
    /// [`BenchError::Stalled`] where tasks do not come, [`BenchError::Miscount`] where the database does not hold
    /// afterwards what it should.
    pub async fn run(&self, progress: &dyn Fn(Progress)) -> Result<BenchReport, BenchError> {
        let mut scenarios = Vec::new();
        for scenario in &self.settings.scenarios {
            scenarios.push(self.measure(*scenario, progress).await?);
        }
        Ok(BenchReport { settings: self.settings.clone(), protocol: self.protocol, scenarios })
    }

    /// Deletes every flow of this bench and what belongs to it.
    ///
    /// # Errors
    /// Where the database cannot be reached or refuses.
    pub async fn clean(&self) -> Result<(), BenchError> {
        let mut connection = self.target.connect().await?;
        clean::everything(&mut connection, &self.abilities).await
    }

    /// What all its flows' names begin with.
    pub fn prefix(&self) -> &str {
        &self.abilities.prefix
    }

    async fn measure(&self, scenario: Scenario, progress: &dyn Fn(Progress)) -> Result<ScenarioReport, BenchError> {
        let of = self.settings.warm_up + self.settings.repetitions;
        let mut measured = Vec::new();
        let mut sampler = None;
        for repetition in 1..=of {
            let counts = repetition > self.settings.warm_up;
            if counts && sampler.is_none() {
                sampler = Some(Sampler::start(self.postmaster));
            }
            let flow = format!("{}_{}_{repetition}", self.abilities.prefix, scenario.as_str());
            let one = repetition::measure(&self.setting(), scenario, &flow).await?;
            progress(Progress { scenario, repetition, of, counts, rate: one.rate() });
            if counts {
                measured.push(one);
            }
        }
        let (benchmark, server) = sampler.map(Sampler::finish).unwrap_or_default();
        Ok(ScenarioReport { benchmark, server, ..summarise(scenario, self.settings.runs, &measured) })
    }

    fn setting(&self) -> Setting<'_> {
        Setting {
            options: self.options(),
            runs: self.settings.runs,
            workers: self.settings.workers,
            batch: self.settings.batch,
            protocol: self.protocol,
            abilities: &self.abilities,
        }
    }

    /// Workers keep their statements prepared, which other commands do not.
    fn options(&self) -> PgConnectOptions {
        self.target.options().clone().statement_cache_capacity(100)
    }
}

fn summarise(scenario: Scenario, runs: usize, measured: &[Repetition]) -> ScenarioReport {
    let of = |value: fn(&Repetition) -> f64| Summary::of(measured.iter().map(value));
    let delivery: Option<Vec<_>> = measured.iter().map(|one| one.arrivals.as_ref()).collect();
    ScenarioReport {
        scenario,
        runs,
        tasks: runs * scenario.tasks_of_a_run(),
        creation: of(|one| millis(one.creation)).unwrap_or_default(),
        start: of(|one| one.runs as f64 / one.start.as_secs_f64()).unwrap_or_default(),
        processing: of(Repetition::rate).unwrap_or_default(),
        delivery: delivery.map(|arrivals| Delivery {
            expected: arrivals.iter().map(|one| one.expected).sum(),
            received: arrivals.iter().map(|one| one.received).sum(),
            latency: Summary::of(arrivals.iter().flat_map(|one| &one.latencies).copied().map(millis)),
        }),
        benchmark: None,
        server: None,
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
