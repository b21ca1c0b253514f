//! The service that `flowsmith worker` runs: a worker for the flows of the flow files, and the triggers runner.

mod event;
mod options;
mod selection;

pub use event::ServiceEvent;
pub use options::ServiceOptions;
pub use selection::requests_only_valid_flows;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{FutureExt as _, join, select};

use crate::builder::Builder;
use crate::error::WorkerError;
use crate::preflight::differences;
use crate::triggers::{Runner, TriggerEvent};
use crate::worker::Worker;
use flowsmith_core::catalog::{Catalog, Flow};
use flowsmith_postgres::Session;
use flowsmith_postgres::database::{Backoff, Target};
use flowsmith_postgres::introspection::{LiveShape, read_snapshot};

/// Called for every event of a service.
type ServiceObserver = Arc<dyn Fn(&ServiceEvent<'_>) + Send + Sync>;

/// Called for every event of the triggers runner.
type TriggerObserver = Box<dyn Fn(&TriggerEvent) + Send + Sync>;

/// A worker and a triggers runner that have passed their preflight checks.
pub struct Service {
    worker: Option<Worker>,
    runner: Option<Runner<TriggerObserver>>,
}

impl Service {
    /// Selects the flows, connects, and runs the preflight checks. While the server is unavailable, for example because the
    /// machine has just started, it retries for `wait_for_server`. Every other error is final.
    ///
    /// # Errors
    /// If a flow is unknown or invalid, the flow files differ from the database, the engine cannot run the flows, or the server
    /// stays unavailable.
    pub async fn start(
        target: &Target,
        catalog: &Catalog,
        options: &ServiceOptions,
        observer: impl Fn(&ServiceEvent<'_>) + Send + Sync + 'static,
    ) -> Result<Self, WorkerError> {
        let observer: ServiceObserver = Arc::new(observer);
        let flows = selection::select(catalog, options, &*observer)?;
        let give_up_at = Instant::now() + options.wait_for_server;
        let mut backoff = Backoff::default();
        loop {
            let error = match connect(target, &flows, options, &observer).await {
                Err(error) if error.is_unavailable() && Instant::now() < give_up_at => error,
                result => return result,
            };
            let gives_up_in = give_up_at.saturating_duration_since(Instant::now());
            let retry_in = backoff.failed().min(gives_up_in);
            observer(&ServiceEvent::ServerUnavailable { error: &error, retry_in, gives_up_in });
            tokio::time::sleep(retry_in).await;
        }
    }

    /// Works until `stop` resolves, or until the worker has been deprecated in the database. Running tasks finish first; when
    /// `cancel` resolves, they are cancelled and return to their queues.
    ///
    /// # Errors
    /// If the worker cannot register.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        cancel: impl Future<Output = ()>,
    ) -> Result<(), WorkerError> {
        let (stop, cancel) = (stop.shared(), cancel.shared());
        let (worker_ended, worker_end) = tokio::sync::oneshot::channel::<()>();
        let working = async {
            let result = match self.worker {
                Some(worker) => worker.run_until(stop.clone(), cancel.clone()).await,
                None => {
                    stop.clone().await;
                    Ok(())
                }
            };
            // A deprecated worker ends without a signal, and the runner ends with it.
            drop(worker_ended);
            result
        };
        let triggering = async {
            if let Some(runner) = self.runner {
                runner.run_until(async { _ = select(stop.clone(), worker_end).await }, cancel.clone()).await;
            }
        };
        join(working, triggering).await.0
    }
}

/// Connects the worker and the runner.
async fn connect(
    target: &Target,
    flows: &[Arc<Flow>],
    options: &ServiceOptions,
    observer: &ServiceObserver,
) -> Result<Service, WorkerError> {
    let mut session = Session::open(target).await?;
    session.level()?;
    let worker = if flows.is_empty() {
        None
    } else {
        let builder = flows.iter().try_fold(builder(options, observer), |builder, flow| {
            builder.declared(flow, &|name| std::env::var(name).ok())
        })?;
        // Before the comparison, because its errors for missing flows and steps are more helpful.
        Some(builder.connect(target).await?)
    };
    compare(&mut session, flows, options, &**observer).await?;
    let runner = match options.triggers {
        true => Some(runner(&session, options.poll_interval, observer).await?),
        false => None,
    };
    Ok(Service { worker, runner })
}

fn builder(options: &ServiceOptions, observer: &ServiceObserver) -> Builder {
    let mut builder = Worker::builder()
        .name(&options.name)
        .concurrency(options.concurrency)
        .batch(options.batch)
        .connections(options.connections)
        .sql_connections(options.sql_connections)
        .poll_interval(options.poll_interval)
        .secrets(&options.secrets);
    if let Some(timeout) = options.shutdown_timeout {
        builder = builder.shutdown_timeout(timeout);
    }
    if let Some(address) = &options.metrics {
        builder = builder.metrics(address);
    }
    let observer = Arc::clone(observer);
    builder.observe(move |event| observer(&ServiceEvent::Worker(event)))
}

/// Compares the flow files with the database.
async fn compare(
    session: &mut Session,
    flows: &[Arc<Flow>],
    options: &ServiceOptions,
    observer: &(dyn Fn(&ServiceEvent<'_>) + Send + Sync),
) -> Result<(), WorkerError> {
    // The role of a worker may not read the ledger.
    let shape = LiveShape { ledger: false, triggers: false, ..session.shape()? };
    let live = read_snapshot(&mut session.connection, shape).await?;
    let differences = differences(flows, &live);
    if !differences.is_empty() && !options.accept_drift {
        return Err(WorkerError::Mismatch { differences });
    }
    for difference in &differences {
        observer(&ServiceEvent::DriftAccepted(difference));
    }
    Ok(())
}

async fn runner(
    session: &Session,
    poll_interval: Duration,
    observer: &ServiceObserver,
) -> Result<Runner<TriggerObserver>, WorkerError> {
    if session.detection.may_read_triggers.is_none() {
        return Err(WorkerError::Triggers { database: session.database.clone() });
    }
    let observer = Arc::clone(observer);
    let observer: TriggerObserver = Box::new(move |event| observer(&ServiceEvent::Trigger(event)));
    Ok(Runner::connect(&session.target, poll_interval, observer).await?)
}
