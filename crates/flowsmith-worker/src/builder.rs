//! What a worker is to do, put together and held against the database.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgConnection;

use super::board::{Board, Bounds};
use super::contact::Contact;
use super::engine::Engine;
use super::error::WorkerError;
use super::event::Event;
use super::handler::{Context, Function, Handle, HandlerError};
use super::metrics::{self, Endpoint, Source};
use super::shared::{Observer, Shared, Tools};
use super::task::{Flow, Step, StepFacts};
use super::{Plan, Worker};
use flowsmith_core::catalog::FlowId;
use flowsmith_postgres::database::{DatabaseError, Failure, Target};
use flowsmith_postgres::engine::detect::{DetectError, EngineState, detect};

/// Puts a worker together.
#[must_use]
pub struct Builder {
    name: String,
    flows: Vec<Declared>,
    /// What flow files call those of its flows that they declare.
    ids: Vec<FlowId>,
    bounds: Bounds,
    connections: usize,
    poll_interval: Duration,
    shutdown_timeout: Option<Duration>,
    observer: Observer,
    metrics: Option<String>,
}

/// A flow with what is to do its steps.
struct Declared {
    slug: String,
    handlers: Vec<(String, Arc<dyn Handle>)>,
    limits: BTreeMap<String, usize>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            name: "flowsmith".to_owned(),
            flows: Vec::new(),
            ids: Vec::new(),
            bounds: Bounds { concurrency: 50, batch: 20, sql: 5 },
            connections: 2,
            poll_interval: Duration::from_secs(3),
            shutdown_timeout: None,
            observer: Arc::new(|_| {}),
            metrics: None,
        }
    }

    /// The name under which it registers, in `pgflow.workers.function_name`; `flowsmith` unless it is given.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Works on a flow, by its slug in the database: version 2 of `order` is `order_v2`. The steps that follow are its.
    pub fn flow(mut self, slug: impl Into<String>) -> Self {
        self.flows.push(Declared { slug: slug.into(), handlers: Vec::new(), limits: BTreeMap::new() });
        self
    }

    /// What does the tasks of a step of the flow that was named last. Input and output are anything that serde reads and
    /// writes. A future is dropped when the step's timeout is over; a panic is a failure.
    ///
    /// # Panics
    /// Where no flow has been named.
    pub fn step<F, Doing, I, O>(self, step: impl Into<String>, handler: F) -> Self
    where
        F: Fn(I, Context) -> Doing + Send + Sync + 'static,
        Doing: Future<Output = Result<O, HandlerError>> + Send + 'static,
        I: DeserializeOwned + 'static,
        O: Serialize + 'static,
    {
        self.handler(step.into(), Arc::new(Function::new(handler)))
    }

    /// How many tasks of a step of the flow that was named last are done at once; else as many as the worker does.
    ///
    /// # Panics
    /// Where no flow has been named.
    pub fn step_concurrency(mut self, step: impl Into<String>, tasks: usize) -> Self {
        self.last().limits.insert(step.into(), tasks.max(1));
        self
    }

    /// How many tasks are done at once: 50 unless it is given.
    pub fn concurrency(mut self, tasks: usize) -> Self {
        self.bounds.concurrency = tasks.max(1);
        self
    }

    /// How many tasks one call takes at most: 20 unless it is given.
    pub fn batch(mut self, tasks: usize) -> Self {
        self.bounds.batch = tasks.max(1);
        self
    }

    /// Connections that take tasks and tell what came of them: 2 unless it is given. One more keeps the time, one listens.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Connections on which `sql` handlers run, and so how many of them at once: 5 unless it is given. Their tasks wait for one
    /// unbegun: neither their timeouts nor their attempts are used up.
    pub fn sql_connections(mut self, connections: usize) -> Self {
        self.bounds.sql = connections.max(1);
        self
    }

    /// The longest time between two looks at the queues where notifications do not come: 3 s unless it is given.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Duration::from_millis(50));
        self
    }

    /// How long running tasks may continue once the worker shuts down. Afterwards the worker cancels them and returns them to
    /// their queues. Without a shutdown timeout, tasks run until their own timeouts.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// Is told of everything that happens, from whatever thread it happens on; it must not block.
    pub fn observe(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Serves `/metrics`, for Prometheus, and `/healthz` at this host and port, while it works: `127.0.0.1:9187`. Port 0 takes any
    /// that is free, and [`Event::ServesMetrics`] says which. Whoever reaches it may read: names of flows and steps, and figures.
    pub fn metrics(mut self, address: impl Into<String>) -> Self {
        self.metrics = Some(address.into());
        self
    }

    pub(super) fn handler(mut self, step: String, handler: Arc<dyn Handle>) -> Self {
        self.last().handlers.push((step, handler));
        self
    }

    /// Says what the flow that was named last is called in its file.
    pub(super) fn known_as(mut self, id: FlowId) -> Self {
        self.ids.push(id);
        self
    }

    #[expect(clippy::expect_used, reason = "a mistake of the program, found at its first start")]
    fn last(&mut self) -> &mut Declared {
        self.flows.last_mut().expect("`flow` comes before its steps")
    }

    /// Connects, and holds what was put together against the database. Writes nothing.
    ///
    /// # Errors
    /// Where the database cannot be reached, its engine cannot run flows, a flow is not there, or its steps are not those that
    /// have handlers; where metrics cannot be served at their address.
    pub async fn connect(self, target: &Target) -> Result<Worker, WorkerError> {
        if self.flows.is_empty() {
            return Err(WorkerError::Nothing { why: "no flow is named".to_owned() });
        }
        let listener = match &self.metrics {
            Some(address) => Some(metrics::bind(address).await?),
            None => None,
        };
        let own = target.clone().named("flowsmith worker");
        let mut connection = own.connect().await?;
        let detection = detect(&mut connection).await.map_err(|error| match error {
            DetectError::Database(error) => error.into(),
            DetectError::Answer(error) => WorkerError::Engine { lacks: format!("a readable catalog ({error})") },
        })?;
        if matches!(detection.engine, EngineState::Missing) {
            return Err(DatabaseError::new(Failure::Engine, format!("{target} has no workflow engine")).into());
        }
        let engine = Engine::of(&mut connection).await?;
        if !engine.lacks.is_empty() {
            return Err(WorkerError::Engine { lacks: engine.lacks });
        }
        let flows = flows(self.flows, &engine, &mut connection).await?;
        // Two that recover do no harm, so where pg_cron's jobs may not be read, the worker does it.
        let plan = Plan {
            connections: self.connections,
            poll_interval: self.poll_interval,
            shutdown_timeout: self.shutdown_timeout,
            recovers: engine.recovers && detection.has_cron_job != Some(true),
        };
        let (metrics, observer) = match listener {
            Some(listener) => {
                let source = Source::of(target, &detection);
                let endpoint = Endpoint::new(listener, source, &flows);
                let observer = endpoint.counting(self.observer);
                (Some(endpoint), observer)
            }
            None => (None, self.observer),
        };
        let board = Board::new(flows.len(), self.bounds);
        let shared = Shared {
            tools: Arc::new(Tools::new(own, engine, observer)),
            name: self.name,
            flows,
            older: older(&self.ids),
            worker_ids: Vec::new(),
            board,
            contact: Contact::default(),
            abandon: tokio::sync::watch::channel(false).0,
        };
        Ok(Worker { shared, plan, connection, metrics })
    }
}

/// The versions older than these that are not among them.
fn older(ids: &[FlowId]) -> Vec<FlowId> {
    let mut older: Vec<FlowId> = ids
        .iter()
        .flat_map(|id| (1..id.version).map(|version| FlowId::new(id.slug.clone(), version)))
        .filter(|version| !ids.contains(version))
        .collect();
    older.sort();
    older.dedup();
    older
}

/// Holds flows against the database.
async fn flows(
    declared: Vec<Declared>,
    engine: &Engine,
    connection: &mut PgConnection,
) -> Result<Vec<Flow>, WorkerError> {
    let slugs: Vec<&str> = declared.iter().map(|flow| flow.slug.as_str()).collect();
    let mut found = engine.flows(connection, &slugs).await?;
    let missing: Vec<String> =
        slugs.iter().filter(|slug| !found.contains_key(**slug)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        return Err(WorkerError::NoFlow { flows: missing });
    }
    declared.into_iter().map(|flow| steps(&mut found, flow)).collect()
}

fn steps(found: &mut BTreeMap<String, Vec<(String, StepFacts)>>, flow: Declared) -> Result<Flow, WorkerError> {
    let Declared { slug, mut handlers, limits } = flow;
    let mut problems = Vec::new();
    let mut steps = Vec::new();
    let Some(there) = found.remove(&slug) else {
        return Err(WorkerError::Steps { flow: slug, problems: vec!["the flow is named twice".to_owned()] });
    };
    for (step, facts) in there {
        match handlers.iter().position(|(name, _)| *name == step) {
            Some(at) => {
                let (_, handler) = handlers.swap_remove(at);
                let limit = limits.get(&step).copied();
                steps.push(Arc::new(Step::new(step, handler, limit, facts)));
            }
            None => problems.push(format!("step {step} has no handler")),
        }
    }
    for (step, _) in handlers {
        let is_twice = steps.iter().any(|known| known.slug == step);
        let why = if is_twice { "has two handlers" } else { "has a handler but does not exist in the database" };
        problems.push(format!("step {step} {why}"));
    }
    for step in limits.keys().filter(|step| steps.iter().all(|known| known.slug != **step)) {
        problems.push(format!("step {step} has a limit but no handler"));
    }
    if problems.is_empty() { Ok(Flow { slug, steps }) } else { Err(WorkerError::Steps { flow: slug, problems }) }
}
