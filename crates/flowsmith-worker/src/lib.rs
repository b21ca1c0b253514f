//! Workers: they take the tasks of flows, have them done, and tell the engine.
//!
//! ```no_run
//! use flowsmith_worker::{HandlerError, Worker};
//! # async fn example(target: flowsmith_postgres::database::Target) -> Result<(), flowsmith_worker::WorkerError> {
//! let worker = Worker::builder()
//!     .flow("order")
//!     .step("load", |order: serde_json::Value, _| async move { Ok(order["items"].clone()) })
//!     .step("ship", |items: serde_json::Value, context| async move {
//!         let address = items["load"].as_str().ok_or_else(|| HandlerError::last("no address"))?;
//!         Ok(format!("{} to {address}", context.run_id))
//!     })
//!     .connect(&target)
//!     .await?;
//! worker.run(async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! One process works on many flows. What its parts are:
//!
//! ```text
//! Builder::connect   flows and handlers held against the database         (builder)
//!    │
//!    ▼
//! Worker::run        registers; then, at once:
//!    ├─ lanes        a connection each: take tasks, tell what came of them (lane, report; calls in engine, SQL in sql/)
//!    ├─ handlers     one tokio task each, within their timeout            (shared::attend)
//!    ├─ listener     notifications say which flow may have tasks           (listen)
//!    ├─ pulse        heartbeat, looks, recovery of stalled tasks           (pulse; what changes seldom in rounds)
//!    └─ endpoint     metrics, where they are asked for                     (metrics)
//!         all of them around one board: what there is to do                (board)
//! ```

mod board;
mod builder;
mod contact;
mod declared;
mod engine;
mod error;
mod event;
mod gate;
mod handler;
mod lane;
mod link;
mod listen;
mod metrics;
mod pulse;
mod report;
mod rounds;
mod shared;
mod task;
pub mod triggers;

pub use builder::Builder;
pub use error::WorkerError;
pub use event::{Event, TaskName};
pub use gate::mismatches;
pub use handler::{Context, HandlerError};
pub use metrics::{METRICS, Metric, MetricKind};

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, FutureExt as _, join_all, select};
use sqlx::postgres::PgConnection;

use flowsmith_postgres::database::unanswered;
use lane::lane;
use listen::Hearing;
use metrics::Endpoint;
use pulse::Pulse;
use shared::Shared;

/// A worker that has been held against its database and has not registered yet.
pub struct Worker {
    shared: Shared,
    plan: Plan,
    connection: PgConnection,
    metrics: Option<Endpoint>,
}

/// How long a worker that is told to leave everything takes to give its tasks back and to note its end. What it does not get done
/// is the engine's to recover.
const FAREWELL: Duration = Duration::from_secs(10);

/// How it works.
struct Plan {
    connections: usize,
    poll_interval: Duration,
    shutdown_timeout: Option<Duration>,
    recovers: bool,
}

impl Worker {
    /// Puts a worker together.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Works until `stop` is ready, or until somebody deprecates all its rows in `pgflow.workers`. Then it takes no more tasks,
    /// hands back those that it has not begun, and ends when those in hand are done and told. A connection that is lost is made
    /// anew, however long that takes.
    ///
    /// Dropping the future instead leaves tasks to the engine's recovery.
    ///
    /// # Errors
    /// Where it cannot register.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), WorkerError> {
        self.run_until(stop, std::future::pending()).await
    }

    /// The same; once `give_up` is ready too, tasks in hand are dropped where they are and go back to the queue. Where the
    /// database does not take them within ten seconds, it ends all the same.
    ///
    /// # Errors
    /// Where it cannot register.
    pub async fn run_until(
        self,
        stop: impl Future<Output = ()>,
        give_up: impl Future<Output = ()>,
    ) -> Result<(), WorkerError> {
        let Self { mut shared, plan, mut connection, metrics } = self;
        let flows: Vec<&str> = shared.flows.iter().map(|flow| flow.slug.as_str()).collect();
        let mut stop = pin!(stop);
        let registering = shared.tools.engine.register(&mut connection, &shared.name, &flows);
        let mut ids = match select(pin!(registering), stop.as_mut()).await {
            Either::Left((ids, _)) => ids?,
            // It works on nothing yet; where its rows are there, their heartbeats end.
            Either::Right(_) => return Ok(()),
        };
        shared.worker_ids = flows.iter().map(|flow| ids.remove(*flow).unwrap_or_default()).collect();
        let shared = Arc::new(shared);
        let flows = shared.flows.iter().map(|flow| flow.slug.clone()).collect();
        shared.tell(&Event::Started { flows, batches: shared.tools.engine.batches });
        if !shared.tools.engine.recovers {
            shared.tell(&Event::NoRecovery);
        }

        let hearing = Arc::new(Hearing::default());
        let mut connections = Some(connection);
        let lanes = (0..plan.connections).map(|_| lane(Arc::clone(&shared), connections.take()));
        let working = join_all(lanes);
        let ending = end(&shared, stop, give_up, plan.shutdown_timeout).shared();
        let listening = async {
            listen::listen(Arc::clone(&shared), &hearing, plan.poll_interval).await;
            std::future::pending::<()>().await;
        };
        let serving = async {
            if let Some(metrics) = metrics {
                metrics.serve(&shared, &hearing).await;
            }
        };
        let pulse = Pulse::new(Arc::clone(&shared), plan.poll_interval, plan.recovers).run(&hearing);
        // Lanes end when the ending has told them to, and everything is reported.
        let around = futures_util::future::join4(ending.clone(), listening, serving, pulse);
        let leaving = async {
            match select(pin!(working), pin!(around)).await {
                Either::Left(_) => {}
                Either::Right((never, _)) => match never.3 {},
            }
            sign_off(&shared).await;
        };
        // Whatever it waits for: a server or a network that is silent must not keep it.
        let left = async {
            ending.clone().await;
            tokio::time::sleep(FAREWELL).await;
        };
        if let Either::Right(_) = select(pin!(leaving), pin!(left)).await {
            let what = "exiting without unregistering from the database".to_owned();
            shared.tell(&Event::Refused { what, error: unanswered(FAREWELL).to_string() });
        }
        Ok(())
    }
}

/// Waits for the end to be wanted, and sees to it.
async fn end(
    shared: &Shared,
    stop: impl Future<Output = ()>,
    give_up: impl Future<Output = ()>,
    shutdown_timeout: Option<Duration>,
) {
    select(pin!(stop), pin!(closed(shared))).await;
    shared.contact.drain();
    let (running, untold) = shared.board.drain();
    shared.tell(&Event::Draining { running, untold });
    let timed_out = async {
        match shutdown_timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    select(pin!(timed_out), pin!(give_up)).await;
    shared.abandon.send_replace(true);
}

/// Resolves when nothing may be taken any more.
async fn closed(shared: &Shared) {
    while shared.board.is_open() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Notes in the database that the worker has ended; where that fails, its heartbeat says so.
async fn sign_off(shared: &Shared) {
    let ids: Vec<&str> = shared.worker_ids.iter().map(String::as_str).collect();
    let noted = async { shared.tools.engine.stop(&mut shared.tools.target.connect().await?, &ids).await };
    if let Err(error) = noted.await {
        shared
            .tell(&Event::Refused { what: "cannot record the end of the worker".to_owned(), error: error.to_string() });
    }
}
