//! What all parts of a running worker hold in common.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use sqlx::postgres::PgConnection;
use tokio::sync::watch;

use super::board::Board;
use super::contact::{Contact, Idle};
use super::engine::Engine;
use super::event::{Event, TaskName};
use super::handler::{Context, HandlerError, Outcome, Unreached};
use super::task::{End, Finished, Flow, Task, TaskId};
use flowsmith_core::catalog::FlowId;
use flowsmith_postgres::database::Pauses;
use flowsmith_postgres::database::Target;

/// Told of everything that happens.
pub(super) type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

/// What handlers need of a worker.
pub(super) struct Tools {
    pub(super) target: Target,
    pub(super) engine: Engine,
    pub(super) observer: Observer,
    pool: Mutex<Pool>,
}

/// The connections of `sql` handlers. The board sees to it that not too many are used at once.
#[derive(Default)]
struct Pool {
    /// Those that nobody uses now.
    idle: Vec<PgConnection>,
    pauses: Pauses,
    /// Until when nobody is to try to make one, after an attempt has failed.
    closed_until: Option<Instant>,
}

impl Tools {
    pub(super) fn new(target: Target, engine: Engine, observer: Observer) -> Self {
        Self { target, engine, observer, pool: Mutex::default() }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection on which no transaction is open; whether somebody has used it before.
    pub(super) async fn connection(&self) -> Result<(PgConnection, bool), Unreached> {
        let (idle, rest) = {
            let mut pool = self.pool();
            let now = Instant::now();
            let rest = pool.closed_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            (pool.idle.pop(), rest)
        };
        match idle {
            Some(connection) => Ok((connection, true)),
            None if !rest.is_zero() => Err(Unreached { error: None, pause: rest }),
            None => match self.target.connect().await {
                Ok(connection) => Ok((connection, false)),
                Err(error) => Err(self.unreached(error.to_string())),
            },
        }
    }

    /// A connection could not be had: nobody is to try for a while, each time for longer.
    pub(super) fn unreached(&self, error: String) -> Unreached {
        let mut pool = self.pool();
        let now = Instant::now();
        let until = match pool.closed_until.filter(|until| *until > now) {
            // Several that fail at once are one failure.
            Some(until) => until,
            None => now + pool.pauses.failed(),
        };
        pool.closed_until = Some(until);
        Unreached { error: Some(error), pause: until - now }
    }

    /// A new connection works.
    pub(super) fn reached(&self) {
        let mut pool = self.pool();
        pool.pauses.connected();
        pool.closed_until = None;
    }

    /// For others to use: only where no transaction is open on it, and nothing is left of the session that it was.
    pub(super) fn give_back(&self, connection: PgConnection) {
        self.pool().idle.push(connection);
    }

    /// After one was lost the others are too, as a rule.
    pub(super) fn forget_connections(&self) {
        self.pool().idle.clear();
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

    /// Why it takes no tasks; none where it does.
    pub(super) fn idle(&self) -> Option<Idle> {
        self.contact.idle().or_else(|| self.board.is_refused().then_some(Idle::Refused))
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
    let patience = if task.step.needs_connection { Duration::MAX } else { timeout };
    let handling = async move { handler.handle(input, context).await };
    let handling = AssertUnwindSafe(tokio::time::timeout(patience, handling)).catch_unwind();
    match select(pin!(handling), pin!(shared.abandoned())).await {
        Either::Left((Ok(Ok(outcome)), _)) => End::Outcome(outcome),
        Either::Left((Ok(Err(_)), _)) => End::Outcome(Outcome::Failed(HandlerError::timed_out(timeout))),
        Either::Left((Err(panic), _)) => {
            let words = panic.downcast_ref::<&str>().map(ToString::to_string);
            let words = words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            End::Outcome(Outcome::Failed(HandlerError::retry(format!("the handler panicked: {words}"))))
        }
        Either::Right(_) => End::Back { begun: true, delay: 0 },
    }
}
