//! Benchmark of the engine of a database, with flows whose handlers do nothing.
//!
//! ```text
//! Bench::open: detect the engine's functions → protocol, unique names
//!    │
//!    ▼
//! Bench::run: for each scenario and repetition: create → start → process → wait for events → delete   (repetition)
//!    │                                          meanwhile: sample memory and CPU time               (sample)
//!    ▼
//! BenchReport: means and deviations (statistics)          Bench::clean, after success and failure
//! ```
//!
//! Every flow is named `flowsmith_bench_<random>_…`, so the benchmark never touches other flows and can delete all of its own.
//! The ids of its runs are chosen in advance, which distinguishes their events from those of other runs.

mod capabilities;
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

use std::sync::LazyLock;
use std::time::Duration;

use crate::database::Target;
use crate::database::sql::{Templates, templates};
use capabilities::Capabilities;
use repetition::{Repetition, RepetitionSettings};
use sample::Sampler;

static TEMPLATES: LazyLock<Templates> = templates![
    ".": "complete_tasks.sql", "counts.sql", "poll_tasks.sql", "read_messages.sql", "register_worker.sql",
    "start_flow.sql", "start_tasks.sql",
];

/// Settings of a benchmark.
#[derive(Debug, Clone)]
pub struct BenchSettings {
    /// The scenarios, in order.
    pub scenarios: Vec<Scenario>,
    /// Runs per repetition.
    pub runs: usize,
    /// Connections that start runs and process tasks.
    pub workers: usize,
    /// Messages that a worker reads at once.
    pub batch: usize,
    /// The protocol; none = batches if the engine supports them.
    pub protocol: Option<Protocol>,
    /// Measured repetitions.
    pub repetitions: usize,
    /// Repetitions before these that are not measured.
    pub warm_up: usize,
}

/// The calls with which workers process tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The calls of pgflow's workers: read, start, complete one by one.
    Single,
    /// The calls of flowsmith's workers: claim a batch in one call, complete it in another.
    Batch,
}

impl Protocol {
    /// The name in `--protocol` and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Batch => "batch",
        }
    }
}

/// The results of a benchmark.
#[derive(Debug, Clone)]
pub struct BenchReport {
    /// The settings.
    pub settings: BenchSettings,
    /// The protocol that was used.
    pub protocol: Protocol,
    /// One report per scenario.
    pub scenarios: Vec<ScenarioReport>,
}

impl BenchReport {
    /// Whether every expected event arrived exactly once.
    pub fn is_complete(&self) -> bool {
        self.scenarios
            .iter()
            .filter_map(|scenario| scenario.delivery.as_ref())
            .all(|delivery| delivery.expected == delivery.received)
    }
}

/// The results of one scenario, phase by phase.
#[derive(Debug, Clone)]
pub struct ScenarioReport {
    /// The scenario.
    pub scenario: Scenario,
    /// Runs per repetition.
    pub runs: usize,
    /// Tasks per repetition.
    pub tasks: usize,
    /// The time to create the flow with its queue and steps, in milliseconds.
    pub creation: Summary,
    /// Runs started per second.
    pub start: Summary,
    /// Tasks processed per second.
    pub processing: Summary,
    /// The delivery of events; none if the database does not send them as notifications.
    pub delivery: Option<Delivery>,
    /// The resources that this process used.
    pub benchmark: Option<Usage>,
    /// The resources that the server used, if it runs on this machine.
    pub server: Option<Usage>,
}

/// The delivery of the events for the start and the end of runs.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The expected number over all measured repetitions.
    pub expected: usize,
    /// The received number.
    pub received: usize,
    /// The time from the return of the call that causes an event to its arrival, in milliseconds; none without events.
    pub latency: Option<Summary>,
}

/// Progress of a benchmark.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The current scenario.
    pub scenario: Scenario,
    /// The number of the finished repetition, from 1; warm-up repetitions come first.
    pub repetition: usize,
    /// The number of repetitions.
    pub of: usize,
    /// Whether it was measured; false during the warm-up.
    pub counts: bool,
    /// Tasks per second.
    pub rate: f64,
}

/// A benchmark of one database. Call [`Bench::clean`] after [`Bench::run`], even if it failed.
#[derive(Debug)]
pub struct Bench {
    target: Target,
    settings: BenchSettings,
    protocol: Protocol,
    capabilities: Capabilities,
    /// The process id of the postmaster, if it runs on this machine.
    postmaster: Option<u32>,
}

impl Bench {
    /// Connects and detects the functions of the engine. Writes nothing.
    ///
    /// # Errors
    /// [`BenchError::NoRuntime`] if the engine cannot run flows, [`BenchError::NoBatches`] if it does not support the requested
    /// protocol.
    pub async fn open(target: &Target, settings: BenchSettings) -> Result<Self, BenchError> {
        let mut connection = target.connect().await?;
        let capabilities = Capabilities::of(&mut connection).await?;
        // The postmaster is found through the backend of this connection, which exits with the connection.
        let local = target.options().get_socket().map(|_| capabilities.backend);
        let postmaster = local.and_then(sample::postmaster);
        if !capabilities.runtime_lacks.is_empty() {
            return Err(BenchError::NoRuntime { lacks: capabilities.runtime_lacks });
        }
        let protocol = match settings.protocol {
            Some(Protocol::Batch) if !capabilities.batch_lacks.is_empty() => {
                return Err(BenchError::NoBatches { lacks: capabilities.batch_lacks });
            }
            Some(protocol) => protocol,
            None if capabilities.batch_lacks.is_empty() => Protocol::Batch,
            None => Protocol::Single,
        };
        Ok(Self { target: target.clone(), settings, protocol, capabilities, postmaster })
    }

    /// Flows of other benchmarks, either left behind or still in use.
    pub fn others(&self) -> &[String] {
        &self.capabilities.others
    }

    /// Runs the benchmark.
    ///
    /// # Errors
    /// [`BenchError::Stalled`] if no task can be claimed for a long time, [`BenchError::Miscount`] if the counts afterwards are
    /// not the expected ones.
    pub async fn run(&self, progress: &dyn Fn(Progress)) -> Result<BenchReport, BenchError> {
        let mut scenarios = Vec::new();
        for scenario in &self.settings.scenarios {
            scenarios.push(self.measure(*scenario, progress).await?);
        }
        Ok(BenchReport { settings: self.settings.clone(), protocol: self.protocol, scenarios })
    }

    /// Deletes every flow of this benchmark with its data.
    ///
    /// # Errors
    /// If the database cannot be reached or rejects the deletion.
    pub async fn clean(&self) -> Result<(), BenchError> {
        let mut connection = self.target.connect().await?;
        clean::everything(&mut connection, &self.capabilities).await
    }

    /// The name prefix of its flows.
    pub fn prefix(&self) -> &str {
        &self.capabilities.prefix
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
            let flow = format!("{}_{}_{repetition}", self.capabilities.prefix, scenario.as_str());
            let one = repetition::measure(&self.settings(), scenario, &flow).await?;
            progress(Progress { scenario, repetition, of, counts, rate: one.rate() });
            if counts {
                measured.push(one);
            }
        }
        let (benchmark, server) = sampler.map(Sampler::finish).unwrap_or_default();
        Ok(ScenarioReport { benchmark, server, ..summarize(scenario, self.settings.runs, &measured) })
    }

    fn settings(&self) -> RepetitionSettings<'_> {
        RepetitionSettings {
            target: &self.target,
            runs: self.settings.runs,
            workers: self.settings.workers,
            batch: self.settings.batch,
            protocol: self.protocol,
            capabilities: &self.capabilities,
        }
    }
}

fn summarize(scenario: Scenario, runs: usize, measured: &[Repetition]) -> ScenarioReport {
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
