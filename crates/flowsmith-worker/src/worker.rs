//! A worker: registration, the tasks that run concurrently, and the shutdown.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, FutureExt as _, join_all, join4, select};
use sqlx::postgres::PgConnection;

use crate::connection_loop::connection_loop;
use crate::error::WorkerError;
use crate::event::Event;
use crate::listener::listen;
use crate::maintenance::Maintenance;
use crate::metrics::Endpoint;
use crate::shared::Shared;
use flowsmith_postgres::database::timed_out;

/// How long a worker may take, after its tasks have been cancelled, to return them to their queues and to unregister. The engine
/// recovers the tasks of a worker that exceeds it.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval at which a worker checks whether all of its queues have been closed.
const CLOSED_INTERVAL: Duration = Duration::from_millis(200);

/// A worker that has passed its preflight checks and has not registered yet.
pub struct Worker {
    pub(crate) shared: Shared,
    pub(crate) settings: RunSettings,
    pub(crate) connection: PgConnection,
    pub(crate) metrics: Option<Endpoint>,
}

/// Settings of a running worker.
pub(crate) struct RunSettings {
    /// The number of connection loops.
    pub(crate) connections: usize,
    pub(crate) poll_interval: Duration,
    pub(crate) shutdown_timeout: Option<Duration>,
    /// Whether this worker requeues stalled tasks.
    pub(crate) recovers: bool,
}

impl Worker {
    /// Works until `stop` resolves, or until all of its rows in `pgflow.workers` have been deprecated. Then it claims no more
    /// tasks, returns those that have not started to their queues, and exits when the running tasks have finished and the
    /// database has acknowledged their results. It reconnects after every loss of a connection.
    ///
    /// If the future is dropped, the engine recovers the tasks of the worker.
    ///
    /// # Errors
    /// If the worker cannot register.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), WorkerError> {
        self.run_until(stop, std::future::pending()).await
    }

    /// Works like [`Worker::run`]. When `cancel` resolves after `stop`, running tasks are cancelled and return to their queues.
    /// The worker exits ten seconds later even if the database does not respond.
    ///
    /// # Errors
    /// If the worker cannot register.
    pub async fn run_until(
        self,
        stop: impl Future<Output = ()>,
        cancel: impl Future<Output = ()>,
    ) -> Result<(), WorkerError> {
        let Self { mut shared, settings, mut connection, metrics } = self;
        let mut stop = pin!(stop);
        let ids = match select(pin!(register(&shared, &mut connection)), stop.as_mut()).await {
            Either::Left((ids, _)) => ids?,
            // No task has been claimed. If the rows were inserted, they get no more heartbeats.
            Either::Right(_) => return Ok(()),
        };
        shared.worker_ids = ids;
        let shared = Arc::new(shared);
        emit_started(&shared);

        let mut open = Some(connection);
        let loops = (0..settings.connections).map(|_| connection_loop(Arc::clone(&shared), open.take()));
        let loops = join_all(loops);
        let shutdown = shut_down(&shared, stop, cancel, settings.shutdown_timeout).shared();
        let listening = async {
            listen(Arc::clone(&shared), settings.poll_interval).await;
            std::future::pending::<()>().await;
        };
        let serving = async {
            if let Some(metrics) = metrics {
                metrics.serve(&shared).await;
            }
        };
        let maintenance = Maintenance::new(Arc::clone(&shared), settings.poll_interval, settings.recovers).run();
        let background = join4(shutdown.clone(), listening, serving, maintenance);
        let working = async {
            // The connection loops end when the shutdown has drained the dispatcher; the maintenance never ends.
            match select(pin!(loops), pin!(background)).await {
                Either::Left(_) => {}
                Either::Right((never, _)) => match never.3 {},
            }
            unregister(&shared).await;
        };
        // A server or a network that does not respond must not keep the worker from exiting.
        let exit_timeout = async {
            shutdown.clone().await;
            tokio::time::sleep(EXIT_TIMEOUT).await;
        };
        if let Either::Right(_) = select(pin!(working), pin!(exit_timeout)).await {
            shared.emit_rejected("exiting without unregistering from the database", &timed_out(EXIT_TIMEOUT));
        }
        Ok(())
    }
}

/// Registers the worker, and returns the ids of its rows, one for each flow.
async fn register(shared: &Shared, connection: &mut PgConnection) -> Result<Vec<String>, WorkerError> {
    let flows = shared.slugs();
    let mut ids = shared.services.engine.register(connection, &shared.name, &flows).await?;
    Ok(flows.iter().map(|flow| ids.remove(*flow).unwrap_or_default()).collect())
}

fn emit_started(shared: &Shared) {
    let flows = shared.flows.iter().map(|flow| flow.slug.clone()).collect();
    shared.emit(&Event::Started { flows, batches: shared.services.engine.has_batches });
    if !shared.services.engine.has_recovery {
        shared.emit(&Event::NoRecovery);
    }
}

/// Waits for the shutdown, drains the dispatcher, and cancels running tasks at the timeout.
async fn shut_down(
    shared: &Shared,
    stop: impl Future<Output = ()>,
    cancel: impl Future<Output = ()>,
    shutdown_timeout: Option<Duration>,
) {
    select(pin!(stop), pin!(all_queues_closed(shared))).await;
    shared.health.record_draining();
    let (running, unacknowledged) = shared.dispatcher.drain();
    shared.emit(&Event::Draining { running, unacknowledged });
    let timed_out = async {
        match shutdown_timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    select(pin!(timed_out), pin!(cancel)).await;
    shared.cancellation.send_replace(true);
}

/// Resolves when no more tasks may be claimed from any queue.
async fn all_queues_closed(shared: &Shared) {
    while shared.dispatcher.has_open_queue() {
        tokio::time::sleep(CLOSED_INTERVAL).await;
    }
}

/// Records the end of the worker in the database. If that fails, its heartbeat stops all the same.
async fn unregister(shared: &Shared) {
    let ids: Vec<&str> = shared.worker_ids.iter().map(String::as_str).collect();
    let services = &shared.services;
    let unregistered = async { services.engine.unregister(&mut services.target.connect().await?, &ids).await };
    if let Err(error) = unregistered.await {
        shared.emit_rejected("cannot record the end of the worker", &error);
    }
}
