//! What all parts of a running worker hold in common.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use sqlx::postgres::PgConnection;
use tokio::sync::{Semaphore, watch};

use super::board::Board;
use super::contact::Contact;
use super::engine::Engine;
use super::event::{Event, TaskName};
use super::handler::{Context, HandlerError, Outcome};
use super::link::Origin;
use super::task::{End, Finished, Flow, Task, TaskId};
use crate::catalog::FlowId;
use crate::database::DatabaseError;

/// Told of everything that happens.
pub(super) type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

/// What handlers need of a worker.
pub(super) struct Tools {
    pub(super) origin: Origin,
    pub(super) engine: Engine,
    pub(super) observer: Observer,
    /// Connections that `sql` handlers have used and others may use again.
    idle: Mutex<Vec<PgConnection>>,
    /// How many of them there may be.
    pub(super) sql_connections: Semaphore,
}

impl Tools {
    pub(super) fn new(origin: Origin, engine: Engine, observer: Observer, sql_connections: usize) -> Self {
        let sql_connections = Semaphore::new(sql_connections);
        Self { origin, engine, observer, idle: Mutex::default(), sql_connections }
    }

    /// A connection on which no transaction is open.
    pub(super) async fn connection(&self) -> Result<PgConnection, DatabaseError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => self.origin.connect().await,
        }
    }

    /// For others to use: only where no transaction is open on it.
    pub(super) fn give_back(&self, connection: PgConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    /// After one was lost the others are too, as a rule.
    pub(super) fn forget_connections(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// What all parts of a running worker hold in common.
pub(super) struct Shared {
    pub(super) tools: Arc<Tools>,
    /// In `pgflow.workers.function_name`.
    pub(super) name: String,
    pub(super) flows: Vec<Flow>,
    /// Versions older than those that it works on.
    pub(super) older: Vec<FlowId>,
    /// The worker's row for each flow.
    pub(super) worker_ids: Vec<String>,
    pub(super) board: Board,
    pub(super) contact: Contact,
    /// Turns true when handlers are to be dropped where they are.
    pub(super) abandon: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn tell(&self, event: &Event) {
        (self.tools.observer)(event);
    }

    pub(super) fn task_name(&self, flow: usize, id: &TaskId) -> TaskName {
        TaskName {
            flow: self.flows[flow].slug.clone(),
            step: id.step_slug.clone(),
            run_id: id.run_id.clone(),
            task_index: id.task_index,
        }
    }

    /// Resolves when handlers are to be dropped where they are.
    pub(super) async fn abandoned(&self) {
        let mut abandon = self.abandon.subscribe();
        // The sender lives as long as this does.
        let _ = abandon.wait_for(|abandoned| *abandoned).await;
    }
}

/// Has a task done, and those that waited for it, one after the other.
pub(super) async fn attend(shared: Arc<Shared>, task: Task) {
    let mut next = Some(task);
    while let Some(mut task) = next {
        shared.tell(&Event::TaskBegan(shared.task_name(task.flow, &task.id)));
        let began = Instant::now();
        let end = work(&shared, &mut task).await;
        let Task { flow, step, id, .. } = task;
        next = shared.board.finish(Finished { flow, step, id, end, took: began.elapsed() });
    }
}

/// A task that is dropped takes its handler along.
async fn work(shared: &Shared, task: &mut Task) -> End {
    let timeout = task.step.timeout();
    let context = Context {
        flow: shared.flows[task.flow].slug.clone(),
        step: task.id.step_slug.clone(),
        run_id: task.id.run_id.clone(),
        task_index: task.id.task_index,
        attempt: task.attempt,
        timeout,
        worker_id: shared.worker_ids[task.flow].clone(),
        tools: Arc::clone(&shared.tools),
    };
    let input = std::mem::take(&mut task.input);
    let handler = Arc::clone(&task.step.handler);
    let handling = async move { handler.handle(input, context).await };
    let handling = AssertUnwindSafe(tokio::time::timeout(timeout, handling)).catch_unwind();
    match select(pin!(handling), pin!(shared.abandoned())).await {
        Either::Left((Ok(Ok(outcome)), _)) => End::Outcome(outcome),
        Either::Left((Ok(Err(_)), _)) => {
            let message = format!("timed out after {} s", timeout.as_secs());
            End::Outcome(Outcome::Failed(HandlerError::retry(message)))
        }
        Either::Left((Err(panic), _)) => {
            let words = panic.downcast_ref::<&str>().map(ToString::to_string);
            let words = words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            End::Outcome(Outcome::Failed(HandlerError::retry(format!("the handler panicked: {words}"))))
        }
        Either::Right(_) => End::Back { begun: true, delay: 0 },
    }
}
