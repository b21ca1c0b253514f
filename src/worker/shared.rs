//! What all parts of a running worker hold in common.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::board::Board;
use super::engine::Engine;
use super::event::{Event, TaskName};
use super::handler::{HandlerError, Outcome};
use super::link::Origin;
use super::task::{End, Finished, Flow, Task, TaskId};

/// Told of everything that happens.
pub(super) type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

/// What all parts of a running worker hold in common.
pub(super) struct Shared {
    pub(super) origin: Origin,
    pub(super) engine: Engine,
    /// In `pgflow.workers.function_name`.
    pub(super) name: String,
    pub(super) flows: Vec<Flow>,
    /// The worker's row for each flow.
    pub(super) worker_ids: Vec<String>,
    pub(super) board: Board,
    pub(super) observer: Observer,
    /// Turns true when handlers are to be dropped where they are.
    pub(super) abandon: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn tell(&self, event: &Event) {
        (self.observer)(event);
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
    let context = task.context(&shared.flows[task.flow].slug, &shared.worker_ids[task.flow]);
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
