//! Figures of all flows in the database, whichever workers serve them. They are cached, and read on one connection with timeouts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use tokio::sync::watch;

use super::counts::seconds_since_1970;
use super::metric::{
    ALIVE, DELAYED, ENDED, ERROR, IN_FLIGHT, LAG, MESSAGES, PAUSED, RUNS, SAMPLED, SILENT, STALLED, UP, WAITING,
};
use super::page::Page;
use flowsmith_core::catalog::State;
use flowsmith_core::diagnostic::Diagnostic as _;
use flowsmith_postgres::database::{DatabaseError, Failure, Target};
use flowsmith_postgres::engine::detect::Detection;
use flowsmith_postgres::runs::{
    Engine, Flows, QueueDepth, RunCounts, RunsError, StalledTasks, Worker, WorkerHealth, find_stalled, read_queues,
    read_run_counts, read_workers, with_statement_timeout,
};

/// The shortest time for which figures are cached. They are also cached for ten times as long as reading them took, so that
/// metrics use at most a tenth of a connection.
const MIN_CACHE_TIME: Duration = Duration::from_secs(5);
const CACHE_FACTOR: u32 = 10;

/// The longest time for which figures are cached, and for how long afterwards they are used if new ones are not available yet.
const MAX_CACHE_TIME: Duration = Duration::from_secs(60);
const STALE_TIME: Duration = Duration::from_secs(30);

/// How long a request waits for the database. The default timeout of Prometheus is 10 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// How long reading the figures may take. There is no second reading meanwhile, so that queries do not pile up in the server.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// `statement_timeout`, because the server continues a query after the client has stopped waiting.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The age in seconds up to which ended runs are counted as recent.
const RECENT: f64 = 300.0;

/// The number of seconds without progress after which a task is stalled, as in `flowsmith stalled`.
const STALLED_AFTER: f64 = 60.0;

/// The database that the figures are read from.
#[derive(Debug, Clone)]
pub(crate) struct SampleSource {
    target: Target,
    /// None if the engine is incomplete.
    engine: Option<Engine>,
}

/// Figures of the database, or the code of the error.
#[derive(Debug)]
pub(super) struct Sample {
    figures: Result<Figures, &'static str>,
    /// Seconds since 1970.
    at: f64,
    fresh_until: Instant,
}

#[derive(Debug)]
struct Figures {
    queues: Vec<QueueDepth>,
    runs: Vec<RunCounts>,
    workers: Vec<Worker>,
    stalls: Vec<StalledTasks>,
}

/// Reads figures on request, and caches them.
pub(super) struct Sampler {
    source: SampleSource,
    /// The connection between readings; none during a reading.
    connection: Mutex<Option<PgConnection>>,
    /// The last sample, and whether a reading is in progress.
    last: watch::Sender<(Option<Arc<Sample>>, bool)>,
}

impl SampleSource {
    pub(crate) fn new(target: &Target, detection: &Detection) -> Self {
        Self { target: target.clone().named("flowsmith metrics"), engine: Engine::of(detection) }
    }
}

impl Sampler {
    pub(super) fn new(source: SampleSource) -> Arc<Self> {
        Arc::new(Self { source, connection: Mutex::default(), last: watch::channel((None, false)).0 })
    }

    /// A fresh sample. If the database does not answer within three seconds, the previous sample, or an error if that is too old.
    pub(super) async fn sample(self: &Arc<Self>) -> Arc<Sample> {
        let mut last = self.last.subscribe();
        let mut begins = false;
        let mut fresh = None;
        self.last.send_if_modified(|(sample, is_reading)| {
            fresh = sample.clone().filter(|sample| Instant::now() < sample.fresh_until);
            begins = fresh.is_none() && !*is_reading;
            *is_reading |= begins;
            false
        });
        if let Some(fresh) = fresh {
            return fresh;
        }
        if begins {
            // In a separate task, so that a cancelled request does not cancel the reading.
            let sampler = Arc::clone(self);
            tokio::spawn(async move {
                let sample = sampler.read_with_timeout().await;
                sampler.last.send_replace((Some(Arc::new(sample)), false));
            });
        }
        let finished = last.wait_for(|(_, is_reading)| !is_reading);
        if let Ok(Ok(last)) = tokio::time::timeout(REQUEST_TIMEOUT, finished).await
            && let Some(sample) = &last.0
        {
            return Arc::clone(sample);
        }
        let previous = self.last.borrow().0.clone();
        let previous =
            previous.filter(|sample| sample.figures.is_ok() && Instant::now() < sample.fresh_until + STALE_TIME);
        previous.unwrap_or_else(|| Arc::new(Sample::failed(&no_answer(REQUEST_TIMEOUT).into())))
    }

    async fn read_with_timeout(&self) -> Sample {
        let began = Instant::now();
        let figures = match tokio::time::timeout(READ_TIMEOUT, self.read()).await {
            Ok(figures) => figures,
            Err(_) => Err(no_answer(READ_TIMEOUT).into()),
        };
        match figures {
            Ok(figures) => Sample { figures: Ok(figures), at: seconds_since_1970(), fresh_until: fresh_until(began) },
            // The query took long, and would again.
            Err(RunsError::Database(error)) if error.failure() == Failure::Cancelled => {
                Sample { fresh_until: fresh_until(began), ..Sample::failed(&error.into()) }
            }
            Err(error) => Sample::failed(&error),
        }
    }

    /// Reads the figures. A connection is not reused after an error.
    async fn read(&self) -> Result<Figures, RunsError> {
        let Some(engine) = self.source.engine else {
            let message = "the database has an incomplete engine";
            return Err(DatabaseError::new(Failure::Engine, message).into());
        };
        let kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        let was_kept = kept.is_some();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.source.target.connect().await?,
        };
        let mut figures = with_statement_timeout(STATEMENT_TIMEOUT, Figures::read(&mut connection, engine)).await;
        if was_kept && matches!(&figures, Err(RunsError::Database(error)) if error.failure() == Failure::Lost) {
            // The server may have restarted since the last reading.
            connection = self.source.target.connect().await?;
            figures = with_statement_timeout(STATEMENT_TIMEOUT, Figures::read(&mut connection, engine)).await;
        }
        if figures.is_ok() {
            *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        }
        figures
    }
}

/// Until when figures are cached whose reading began at this time.
fn fresh_until(began: Instant) -> Instant {
    Instant::now() + (began.elapsed() * CACHE_FACTOR).clamp(MIN_CACHE_TIME, MAX_CACHE_TIME)
}

fn no_answer(timeout: Duration) -> DatabaseError {
    DatabaseError::new(Failure::Unreachable, format!("no answer within {} s", timeout.as_secs()))
}

impl Figures {
    async fn read(connection: &mut PgConnection, engine: Engine) -> Result<Self, RunsError> {
        let flows = Flows::read(connection, engine).await?;
        let all: Vec<_> = flows.all().iter().collect();
        let slugs = all.iter().map(|flow| flow.slug.clone()).collect();
        let mut figures = Self {
            queues: read_queues(connection, engine, &all).await?,
            runs: read_run_counts(connection, engine, slugs, RECENT).await?,
            workers: read_workers(connection, engine, None, false).await?,
            stalls: find_stalled(connection, engine, &all, STALLED_AFTER).await?,
        };
        // Old versions stay in the database permanently; only those with running runs or messages are reported.
        let is_drained = |slug: &str| {
            flows.by_slug(slug).is_some_and(|flow| matches!(flow.state, State::Draining | State::Retired))
                && figures.runs.iter().all(|runs| runs.slug != slug || runs.under_way == 0)
        };
        let drained: Vec<String> =
            all.iter().filter(|flow| is_drained(&flow.slug)).map(|flow| flow.slug.clone()).collect();
        figures
            .queues
            .retain(|queue| !drained.contains(&queue.slug) || queue.messages.is_some_and(|messages| messages > 0));
        figures.runs.retain(|runs| figures.queues.iter().any(|queue| queue.slug == runs.slug));
        Ok(figures)
    }
}

impl Sample {
    fn failed(error: &RunsError) -> Self {
        Self {
            figures: Err(error.code().as_str()),
            at: seconds_since_1970(),
            fresh_until: Instant::now() + MIN_CACHE_TIME,
        }
    }

    pub(super) fn write(&self, page: &mut Page) {
        page.value(&UP, if self.figures.is_ok() { 1.0 } else { 0.0 });
        let mut error = page.metric(&ERROR);
        if let Err(code) = self.figures {
            error.value(&[code], 1.0);
        }
        let mut sampled = page.metric(&SAMPLED);
        if self.figures.is_ok() {
            sampled.value(&[], self.at);
        }
        let empty = Figures { queues: Vec::new(), runs: Vec::new(), workers: Vec::new(), stalls: Vec::new() };
        self.figures.as_ref().unwrap_or(&empty).write(page);
    }
}

impl Figures {
    fn write(&self, page: &mut Page) {
        let mut under_way = page.metric(&RUNS);
        for runs in &self.runs {
            under_way.value(&[&runs.slug], runs.under_way as f64);
        }
        let mut ended = page.metric(&ENDED);
        for runs in &self.runs {
            ended.value(&[&runs.slug, "completed"], runs.completed as f64);
            ended.value(&[&runs.slug, "failed"], runs.failed as f64);
            ended.value(&[&runs.slug, "cancelled"], runs.cancelled as f64);
        }
        type Value = fn(&QueueDepth) -> f64;
        let values: [(&'static _, Value); 7] = [
            (&MESSAGES, |queue| queue.messages.unwrap_or_default() as f64),
            (&WAITING, |queue| queue.waiting as f64),
            (&DELAYED, |queue| queue.delayed as f64),
            (&IN_FLIGHT, |queue| queue.in_flight as f64),
            (&LAG, |queue| queue.longest_wait_seconds.unwrap_or_default()),
            (&PAUSED, |queue| if queue.is_paused { 1.0 } else { 0.0 }),
            (&ALIVE, |queue| queue.workers.into()),
        ];
        for (metric, value) in values {
            let mut series = page.metric(metric);
            for queue in &self.queues {
                series.value(&[&queue.slug], value(queue));
            }
        }
        let mut silent = page.metric(&SILENT);
        for queue in &self.queues {
            let is_silent = |worker: &&Worker| worker.queue == queue.slug && worker.health == WorkerHealth::Silent;
            silent.value(&[&queue.slug], self.workers.iter().filter(is_silent).count() as f64);
        }
        let mut stalled = page.metric(&STALLED);
        for (flow, step, tasks) in self.stalled() {
            stalled.value(&[flow, step], tasks as f64);
        }
    }

    /// Stalled tasks by flow and step; 0 for a flow without any. The step is empty for a run without a running step.
    fn stalled(&self) -> Vec<(&str, &str, u64)> {
        let mut counts: Vec<(&str, &str, u64)> = self.queues.iter().map(|queue| (queue.slug.as_str(), "", 0)).collect();
        for stall in self.stalls.iter().filter(|stall| !stall.is_expected()) {
            let (flow, step) = (stall.slug.as_str(), stall.step.as_deref().unwrap_or_default());
            match counts.iter_mut().find(|(other, at, _)| (*other, *at) == (flow, step)) {
                Some((.., tasks)) => *tasks += stall.tasks,
                None => counts.push((flow, step, stall.tasks)),
            }
        }
        counts
    }
}
