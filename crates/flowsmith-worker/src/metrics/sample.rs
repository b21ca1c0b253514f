//! What the database says of all flows, whoever works on them: asked for seldom, by one connection, within a bounded time.

use flowsmith_core::diagnostic::Diagnostic as _;
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
use flowsmith_postgres::database::{DatabaseError, Failure, Target};
use flowsmith_postgres::engine::detect::Detection;
use flowsmith_postgres::runs::{
    Engine, Flows, QueueDepth, RunCounts, RunsError, StalledTasks, Worker, WorkerHealth, find_stalled, read_queues,
    read_run_counts, read_workers, with_statement_timeout,
};

/// How long an answer is good for, at least; and at least so many times as long as it took, so that the questions never make
/// up more than a tenth of what a connection can do.
const FRESH: Duration = Duration::from_secs(5);
const REST: u32 = 10;

/// How long an answer is good for at most, and for how long afterwards it is given where the next one is slow in coming.
const LONGEST: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(30);

/// How long a request waits for the database. Prometheus itself waits 10 s unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long the database may take. Nothing else is asked meanwhile, so that questions do not pile up in it.
const LIMIT: Duration = Duration::from_secs(60);

/// How long each of the questions may take in the server, which goes on with it though nobody listens any more.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);

/// Runs that ended longer ago than so many seconds are not recent.
const RECENT: f64 = 300.0;

/// Tasks that have not moved for so many seconds are stalled, as for `flowsmith stalled`.
const STALLED_AFTER: f64 = 60.0;

/// Where the answers come from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    target: Target,
    /// None where only part of an engine is there.
    engine: Option<Engine>,
}

/// What the database has said, or why it has not.
#[derive(Debug)]
pub(super) struct Sample {
    answer: Result<Answer, &'static str>,
    /// Seconds since 1970.
    at: f64,
    fresh_until: Instant,
}

#[derive(Debug)]
struct Answer {
    queues: Vec<QueueDepth>,
    runs: Vec<RunCounts>,
    workers: Vec<Worker>,
    stalls: Vec<StalledTasks>,
}

/// Asks the database when somebody wants to know and the last answer is old.
pub(super) struct Sampler {
    source: Source,
    /// Kept between questions; not here while one is under way.
    connection: Mutex<Option<PgConnection>>,
    /// The last answer, and whether a question is under way.
    last: watch::Sender<(Option<Arc<Sample>>, bool)>,
}

impl Source {
    pub(crate) fn of(target: &Target, detection: &Detection) -> Self {
        Self { target: target.clone().named("flowsmith metrics"), engine: Engine::of(detection) }
    }
}

impl Sampler {
    pub(super) fn new(source: Source) -> Arc<Self> {
        Arc::new(Self { source, connection: Mutex::default(), last: watch::channel((None, false)).0 })
    }

    /// An answer that is fresh; after three seconds without one, the one before, and where that is too old, that the database does
    /// not answer.
    pub(super) async fn sample(self: &Arc<Self>) -> Arc<Sample> {
        let mut last = self.last.subscribe();
        let mut begins = false;
        let mut fresh = None;
        self.last.send_if_modified(|(sample, is_asking)| {
            fresh = sample.clone().filter(|sample| Instant::now() < sample.fresh_until);
            begins = fresh.is_none() && !*is_asking;
            *is_asking |= begins;
            false
        });
        if let Some(fresh) = fresh {
            return fresh;
        }
        if begins {
            // On its own: a request that is given up does not cut off the question, nor what it is to the next one.
            let sampler = Arc::clone(self);
            tokio::spawn(async move {
                let sample = sampler.ask_in_time().await;
                sampler.last.send_replace((Some(Arc::new(sample)), false));
            });
        }
        let answered = last.wait_for(|(_, is_asking)| !is_asking);
        if let Ok(Ok(last)) = tokio::time::timeout(PATIENCE, answered).await
            && let Some(sample) = &last.0
        {
            return Arc::clone(sample);
        }
        let before = self.last.borrow().0.clone();
        let before = before.filter(|sample| sample.answer.is_ok() && Instant::now() < sample.fresh_until + GRACE);
        before.unwrap_or_else(|| Arc::new(Sample::away(&silence(PATIENCE).into())))
    }

    async fn ask_in_time(&self) -> Sample {
        let began = Instant::now();
        let answer = match tokio::time::timeout(LIMIT, self.ask()).await {
            Ok(answer) => answer,
            Err(_) => Err(silence(LIMIT).into()),
        };
        match answer {
            Ok(answer) => Sample { answer: Ok(answer), at: seconds_since_1970(), fresh_until: rested(began) },
            // The server has worked on it for long, and would again.
            Err(RunsError::Database(error)) if error.failure() == Failure::Cancelled => {
                Sample { fresh_until: rested(began), ..Sample::away(&error.into()) }
            }
            Err(error) => Sample::away(&error),
        }
    }

    /// A connection on which anything fails is not used again.
    async fn ask(&self) -> Result<Answer, RunsError> {
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
        let mut answer = with_statement_timeout(STATEMENT_LIMIT, Answer::read(&mut connection, engine)).await;
        if was_kept && matches!(&answer, Err(RunsError::Database(error)) if error.failure() == Failure::Lost) {
            // The server may have come back since.
            connection = self.source.target.connect().await?;
            answer = with_statement_timeout(STATEMENT_LIMIT, Answer::read(&mut connection, engine)).await;
        }
        if answer.is_ok() {
            *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        }
        answer
    }
}

/// When a question may be asked again that was asked then.
fn rested(began: Instant) -> Instant {
    Instant::now() + (began.elapsed() * REST).clamp(FRESH, LONGEST)
}

fn silence(limit: Duration) -> DatabaseError {
    DatabaseError::new(Failure::Unreachable, format!("no answer within {} s", limit.as_secs()))
}

impl Answer {
    async fn read(connection: &mut PgConnection, engine: Engine) -> Result<Self, RunsError> {
        let flows = Flows::read(connection, engine).await?;
        let all: Vec<_> = flows.all().iter().collect();
        let slugs = all.iter().map(|flow| flow.slug.clone()).collect();
        let mut answer = Self {
            queues: read_queues(connection, engine, &all).await?,
            runs: read_run_counts(connection, engine, slugs, RECENT).await?,
            workers: read_workers(connection, engine, None, false).await?,
            stalls: find_stalled(connection, engine, &all, STALLED_AFTER).await?,
        };
        // Old versions stay in the database for good; only what goes on in them is of interest.
        let is_over = |slug: &str| {
            flows.by_slug(slug).is_some_and(|flow| matches!(flow.state, State::Draining | State::Retired))
                && answer.runs.iter().all(|runs| runs.slug != slug || runs.under_way == 0)
        };
        let over: Vec<String> = all.iter().filter(|flow| is_over(&flow.slug)).map(|flow| flow.slug.clone()).collect();
        answer
            .queues
            .retain(|queue| !over.contains(&queue.slug) || queue.messages.is_some_and(|messages| messages > 0));
        answer.runs.retain(|runs| answer.queues.iter().any(|queue| queue.slug == runs.slug));
        Ok(answer)
    }
}

impl Sample {
    fn away(error: &RunsError) -> Self {
        Self { answer: Err(error.code().as_str()), at: seconds_since_1970(), fresh_until: Instant::now() + FRESH }
    }

    pub(super) fn write(&self, page: &mut Page) {
        page.value(&UP, if self.answer.is_ok() { 1.0 } else { 0.0 });
        let mut error = page.metric(&ERROR);
        if let Err(code) = self.answer {
            error.value(&[code], 1.0);
        }
        let mut sampled = page.metric(&SAMPLED);
        if self.answer.is_ok() {
            sampled.value(&[], self.at);
        }
        let nothing = Answer { queues: Vec::new(), runs: Vec::new(), workers: Vec::new(), stalls: Vec::new() };
        self.answer.as_ref().unwrap_or(&nothing).write(page);
    }
}

impl Answer {
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
        type Figure = fn(&QueueDepth) -> f64;
        let figures: [(&'static _, Figure); 7] = [
            (&MESSAGES, |queue| queue.messages.unwrap_or_default() as f64),
            (&WAITING, |queue| queue.waiting as f64),
            (&DELAYED, |queue| queue.delayed as f64),
            (&IN_FLIGHT, |queue| queue.in_flight as f64),
            (&LAG, |queue| queue.longest_wait_seconds.unwrap_or_default()),
            (&PAUSED, |queue| if queue.is_paused { 1.0 } else { 0.0 }),
            (&ALIVE, |queue| queue.workers.into()),
        ];
        for (metric, figure) in figures {
            let mut series = page.metric(metric);
            for queue in &self.queues {
                series.value(&[&queue.slug], figure(queue));
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

    /// By flow and step; 0 for a flow of which nothing is stalled. Where a run has nothing under way, no step is named.
    fn stalled(&self) -> Vec<(&str, &str, u64)> {
        let mut counts: Vec<(&str, &str, u64)> = self.queues.iter().map(|queue| (queue.slug.as_str(), "", 0)).collect();
        for stall in self.stalls.iter().filter(|stall| !stall.is_expected()) {
            let (flow, step) = (stall.slug.as_str(), stall.step.as_deref().unwrap_or_default());
            match counts.iter_mut().find(|(of, at, _)| (*of, *at) == (flow, step)) {
                Some((.., tasks)) => *tasks += stall.tasks,
                None => counts.push((flow, step, stall.tasks)),
            }
        }
        counts
    }
}
