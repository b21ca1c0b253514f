//! Running the handlers of tasks.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};

use crate::engine::ReturnOptions;
use crate::event::Event;
use crate::handler::Context;
use crate::outcome::{HandlerError, Outcome};
use crate::shared::Shared;
use crate::task::{FinishedTask, Task, TaskResult};

/// Runs a task, and afterwards, one after the other, tasks that waited for it.
pub(crate) async fn execute(shared: Arc<Shared>, task: Task) {
    let mut next = Some(task);
    while let Some(mut task) = next {
        shared.emit(&Event::TaskStarted(shared.task_name(task.flow, &task.id)));
        let started = Instant::now();
        let result = run(&shared, &mut task).await;
        let Task { flow, step, id, .. } = task;
        next = shared.dispatcher.finish(FinishedTask { flow, step, id, result, duration: started.elapsed() });
    }
}

/// Runs the handler until it finishes, exceeds its timeout or is cancelled.
async fn run(shared: &Shared, task: &mut Task) -> TaskResult {
    let timeout = task.step.timeout();
    let context = Context {
        flow: shared.flows[task.flow].slug.clone(),
        step: task.id.step_slug.clone(),
        run_id: task.id.run_id.clone(),
        task_index: task.id.task_index,
        attempt: task.attempt,
        timeout,
        worker_id: shared.worker_ids[task.flow].clone(),
        services: Arc::clone(&shared.services),
    };
    let input = std::mem::take(&mut task.input);
    let handler = Arc::clone(&task.step.handler);
    // Handlers with a connection enforce the timeout themselves.
    let limit = if task.step.needs_connection { Duration::MAX } else { timeout };
    let handling = async move { handler.handle(input, context).await };
    let handling = AssertUnwindSafe(tokio::time::timeout(limit, handling)).catch_unwind();
    let outcome = match select(pin!(handling), pin!(shared.cancelled())).await {
        Either::Left((Ok(Ok(outcome)), _)) => outcome,
        Either::Left((Ok(Err(_)), _)) => Outcome::Failed(HandlerError::timed_out(timeout)),
        Either::Left((Err(panic), _)) => Outcome::Failed(panicked(&*panic)),
        Either::Right(_) => return TaskResult::Return(ReturnOptions { started: true, delay: 0 }),
    };
    TaskResult::Outcome(outcome)
}

fn panicked(panic: &(dyn Any + Send)) -> HandlerError {
    let message = panic.downcast_ref::<&str>().map(ToString::to_string);
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    HandlerError::retry(format!("the handler panicked: {message}"))
}
