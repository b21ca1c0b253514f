//! Building a worker.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgConnection;

use crate::connection_health::ConnectionHealth;
use crate::declared;
use crate::dispatcher::{Dispatcher, Limits};
use crate::engine::Engine;
use crate::error::WorkerError;
use crate::event::{Event, EventObserver};
use crate::handler::{Context, FunctionHandler, Handler};
use crate::metrics::{self, Endpoint, SampleSource};
use crate::outcome::HandlerError;
use crate::preflight::{FlowHandlers, match_handlers};
use crate::services::Services;
use crate::shared::Shared;
use crate::worker::{RunSettings, Worker};
use flowsmith_core::catalog::{Flow, FlowId};
use flowsmith_core::redact::Redactor;
use flowsmith_postgres::database::{DatabaseError, Failure, Target};
use flowsmith_postgres::engine::detect::{DetectError, Detection, EngineState, detect};

/// Builds a [`Worker`].
#[must_use]
pub struct Builder {
    name: String,
    flows: Vec<FlowHandlers>,
    /// The ids of flows from flow files.
    ids: Vec<FlowId>,
    limits: Limits,
    connections: usize,
    poll_interval: Duration,
    shutdown_timeout: Option<Duration>,
    observer: EventObserver,
    metrics: Option<String>,
    secrets: Redactor,
}

impl Worker {
    /// Builds a worker.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Builder {
    fn new() -> Self {
        Self {
            name: "flowsmith".to_owned(),
            flows: Vec::new(),
            ids: Vec::new(),
            limits: Limits { concurrency: 50, batch: 20, sql: 5 },
            connections: 2,
            poll_interval: Duration::from_secs(3),
            shutdown_timeout: None,
            observer: Arc::new(|_| {}),
            metrics: None,
            secrets: Redactor::new(),
        }
    }

    /// Sets the name in `pgflow.workers.function_name`. The default is `flowsmith`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds a flow by its slug in the database: version 2 of `order` is `order_v2`. The following steps belong to it.
    pub fn flow(mut self, slug: impl Into<String>) -> Self {
        self.flows.push(FlowHandlers { slug: slug.into(), handlers: Vec::new(), limits: BTreeMap::new() });
        self
    }

    /// Adds a handler for a step of the last flow. Inputs and outputs are converted by serde. The future is dropped at the
    /// timeout of the step; a panic fails the attempt.
    ///
    /// # Panics
    /// If no flow has been added.
    pub fn step<F, Fut, I, O>(mut self, step: impl Into<String>, handler: F) -> Self
    where
        F: Fn(I, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, HandlerError>> + Send + 'static,
        I: DeserializeOwned + 'static,
        O: Serialize + 'static,
    {
        let handler: Arc<dyn Handler> = Arc::new(FunctionHandler::new(handler));
        self.last_flow().handlers.push((step.into(), handler));
        self
    }

    /// Sets the maximum number of running tasks of a step of the last flow. The default is no limit but
    /// [`Builder::concurrency`].
    ///
    /// # Panics
    /// If no flow has been added.
    pub fn step_concurrency(mut self, step: impl Into<String>, tasks: usize) -> Self {
        self.last_flow().limits.insert(step.into(), tasks.max(1));
        self
    }

    /// Adds secrets, which are kept out of events and of the errors of tasks in the database, in any common encoding. The values of
    /// variables in declared handlers and the password of the database are secrets anyway.
    pub fn secrets(mut self, secrets: &Redactor) -> Self {
        self.secrets.extend(secrets);
        self
    }

    /// Adds a flow of the flow files with the handlers that it declares. `variable` returns the value of an environment variable.
    ///
    /// # Errors
    /// If a handler is invalid, or refers to a variable that is not set.
    pub fn declared(mut self, flow: &Flow, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, WorkerError> {
        let handlers = declared::handlers(flow, variable, &mut self.secrets)?;
        let mut builder = self.flow(flow.id.database_slug());
        builder.ids.push(flow.id.clone());
        builder.last_flow().handlers = handlers;
        Ok(builder)
    }

    /// Sets the maximum number of running tasks. The default is 50.
    pub fn concurrency(mut self, tasks: usize) -> Self {
        self.limits.concurrency = tasks.max(1);
        self
    }

    /// Sets the maximum number of tasks that one call claims. The default is 20.
    pub fn batch(mut self, tasks: usize) -> Self {
        self.limits.batch = tasks.max(1);
        self
    }

    /// Sets the number of connections that claim tasks and report results. The default is 2. The maintenance and the listener
    /// use one more connection each.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets the maximum number of connections for `sql` handlers, and thereby of their running tasks. The default is 5. A task
    /// that waits for a connection has not started: the wait counts neither as an attempt nor towards the timeout.
    pub fn sql_connections(mut self, connections: usize) -> Self {
        self.limits.sql = connections.max(1);
        self
    }

    /// Sets the longest time between two polls if notifications do not arrive. The default is 3 s.
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

    /// Sets the observer, which is called for every event. It may be called on any thread, and must not block.
    pub fn observe(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Serves `/metrics` for Prometheus and `/healthz` at this host and port, such as `127.0.0.1:9187`. Port 0 selects a free
    /// port, which [`Event::ServingMetrics`] reports. Everybody who can connect can read the names of flows and steps and the
    /// figures about them.
    pub fn metrics(mut self, address: impl Into<String>) -> Self {
        self.metrics = Some(address.into());
        self
    }

    #[expect(clippy::expect_used, reason = "a mistake of the program, found at its first start")]
    fn last_flow(&mut self) -> &mut FlowHandlers {
        self.flows.last_mut().expect("`flow` is called before the methods about its steps")
    }

    /// Connects, and runs the preflight checks. Writes nothing to the database.
    ///
    /// # Errors
    /// If the database is unavailable, its engine cannot run flows, a flow does not exist, its steps and handlers differ, or the
    /// address for metrics is not available.
    pub async fn connect(self, target: &Target) -> Result<Worker, WorkerError> {
        if self.flows.is_empty() {
            return Err(WorkerError::Nothing { reason: "no flow is named".to_owned() });
        }
        let listener = match &self.metrics {
            Some(address) => Some(metrics::bind(address).await?),
            None => None,
        };
        let named = target.clone().named("flowsmith worker");
        let mut connection = named.connect().await?;
        let (detection, engine) = detect_engine(target, &mut connection).await?;
        let flows = match_handlers(self.flows, &engine, &mut connection).await?;
        let settings = RunSettings {
            connections: self.connections,
            poll_interval: self.poll_interval,
            shutdown_timeout: self.shutdown_timeout,
            // Redundant recoveries do no harm, so the worker recovers if it may not read the jobs of pg_cron.
            recovers: engine.has_recovery && detection.has_cron_job != Some(true),
        };
        let metrics = listener.map(|listener| Endpoint::new(listener, SampleSource::new(target, &detection), &flows));
        let observer = match &metrics {
            Some(endpoint) => endpoint.counting(self.observer),
            None => self.observer,
        };
        let mut secrets = self.secrets;
        secrets.extend(target.secrets());
        let shared = Shared {
            dispatcher: Dispatcher::new(flows.len(), self.limits),
            services: Arc::new(Services::new(named, engine, secrets, observer)),
            name: self.name,
            flows,
            older_versions: older_versions(&self.ids),
            worker_ids: Vec::new(),
            health: ConnectionHealth::default(),
            cancellation: tokio::sync::watch::channel(false).0,
        };
        Ok(Worker { shared, settings, connection, metrics })
    }
}

/// Detects the engine, and checks that it can run flows.
async fn detect_engine(target: &Target, connection: &mut PgConnection) -> Result<(Detection, Engine), WorkerError> {
    let detection = detect(connection).await.map_err(|error| match error {
        DetectError::Database(error) => error.into(),
        DetectError::Answer(error) => WorkerError::Engine { missing: format!("a readable catalog ({error})") },
    })?;
    if matches!(detection.engine, EngineState::Missing) {
        return Err(DatabaseError::new(Failure::Engine, format!("{target} has no workflow engine")).into());
    }
    let engine = Engine::detect(connection).await?;
    if !engine.missing_functions.is_empty() {
        return Err(WorkerError::Engine { missing: engine.missing_functions });
    }
    Ok((detection, engine))
}

/// The versions older than these that are not among them.
fn older_versions(ids: &[FlowId]) -> Vec<FlowId> {
    let mut older: Vec<FlowId> = ids
        .iter()
        .flat_map(|id| (1..id.version).map(|version| FlowId::new(id.slug.clone(), version)))
        .filter(|version| !ids.contains(version))
        .collect();
    older.sort();
    older.dedup();
    older
}
