//! Reporting the results of tasks to the database until it acknowledges them: outputs in one call, failures one by one.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::connection::Connection;
use crate::engine::{CompletionStatus, ReturnOptions, TaskId};
use crate::event::Event;
use crate::outcome::{HandlerError, Outcome, Unavailable};
use crate::shared::Shared;
use crate::task::{FinishedTask, TaskResult};
use flowsmith_postgres::database::{Backoff, DatabaseError, Failure};

/// How often the completion of one task may be cancelled, for example by `statement_timeout`, before its attempt fails.
const MAX_CANCELLATIONS: u32 = 5;

/// The results of finished tasks, by the call that reports them.
#[derive(Default)]
struct Results {
    outputs: Vec<(FinishedTask, String)>,
    failures: Vec<(FinishedTask, HandlerError)>,
    /// Tasks whose handlers lost their connection, so that their transactions may have been committed.
    undecided: Vec<(FinishedTask, HandlerError)>,
    /// Tasks that return to the queue, by flow.
    returns: BTreeMap<(usize, ReturnOptions), Vec<TaskId>>,
}

/// Reports the results of tasks, with retries until the database acknowledges them.
pub(crate) async fn report(shared: &Shared, connection: &mut Connection<'_>, finished: Vec<FinishedTask>) {
    let Results { outputs, mut failures, undecided, returns } = sort(shared, finished);
    if !outputs.is_empty() {
        failures.extend(complete(shared, connection, outputs).await);
    }
    for (task, error) in failures {
        if !fail(shared, connection, &task, &error).await {
            shared.emit(&Event::TaskLate(shared.task_name(task.flow, &task.id)));
        }
    }
    for (task, error) in undecided {
        // If the transaction was committed, the task can no longer fail.
        if !fail(shared, connection, &task, &error).await {
            emit_status(shared, connection, &task).await;
        }
    }
    for ((flow, options), ids) in returns {
        return_tasks(shared, connection, flow, &ids, options).await;
    }
}

/// Sorts results by the call that reports them, and emits the events of those that need none.
fn sort(shared: &Shared, finished: Vec<FinishedTask>) -> Results {
    let mut results = Results::default();
    for mut task in finished {
        let outcome = match std::mem::replace(&mut task.result, TaskResult::Outcome(Outcome::LeaseLost)) {
            TaskResult::Outcome(outcome) => outcome,
            TaskResult::Return(options) => {
                results.returns.entry((task.flow, options)).or_default().push(task.id);
                continue;
            }
        };
        match outcome {
            Outcome::Output(output) => results.outputs.push((task, output)),
            Outcome::Failed(error) => results.failures.push((task, error)),
            Outcome::Completed => emit_completed(shared, &task),
            Outcome::LeaseLost => shared.emit(&Event::TaskLate(shared.task_name(task.flow, &task.id))),
            Outcome::ConnectionLost(error) => {
                shared.emit(&Event::Disconnected { error: error.clone(), retry_in: Duration::ZERO });
                let error = HandlerError::retry(format!("the query has lost its connection: {error}"));
                results.undecided.push((task, error));
            }
            Outcome::NotStarted(Unavailable { error, pause }) => {
                if let Some(error) = error {
                    shared.emit(&Event::Disconnected { error, retry_in: pause });
                }
                // Visibility timeouts are whole seconds.
                let delay = u32::try_from(pause.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                let options = ReturnOptions { started: false, delay };
                results.returns.entry((task.flow, options)).or_default().push(task.id);
            }
        }
    }
    results
}

fn emit_completed(shared: &Shared, task: &FinishedTask) {
    let name = shared.task_name(task.flow, &task.id);
    shared.emit(&Event::TaskCompleted { task: name, duration: task.duration });
    if task.step.has_dependents {
        shared.dispatcher.add_work(task.flow);
    }
}

/// Completes tasks, and returns those whose outputs the database rejects, for example because `jsonb` does not support a
/// character.
async fn complete(
    shared: &Shared,
    connection: &mut Connection<'_>,
    outputs: Vec<(FinishedTask, String)>,
) -> Vec<(FinishedTask, HandlerError)> {
    let all: Vec<(&TaskId, &str)> = outputs.iter().map(|(task, output)| (&task.id, output.as_str())).collect();
    let error = match call_complete(shared, connection, &all).await {
        Some(Ok(completed)) => {
            emit_all(shared, connection, outputs.iter().map(|(task, _)| task), &completed).await;
            return Vec::new();
        }
        Some(Err(error)) => error,
        None => return Vec::new(),
    };
    if let [_] = outputs.as_slice() {
        return outputs.into_iter().map(|(task, _)| (task, output_rejected(&error))).collect();
    }
    // One bad output fails the whole call, so the tasks are completed one by one.
    let mut failures = Vec::new();
    for (task, output) in outputs {
        match call_complete(shared, connection, &[(&task.id, &output)]).await {
            Some(Ok(completed)) => emit_all(shared, connection, std::iter::once(&task), &completed).await,
            Some(Err(error)) => failures.push((task, output_rejected(&error))),
            None => {}
        }
    }
    failures
}

async fn emit_all<'f>(
    shared: &Shared,
    connection: &mut Connection<'_>,
    finished: impl Iterator<Item = &'f FinishedTask>,
    completed: &HashSet<TaskId>,
) {
    for task in finished {
        if completed.contains(&task.id) {
            emit_completed(shared, task);
        } else {
            emit_status(shared, connection, task).await;
        }
    }
}

/// Completes tasks with retries; none if the worker is cancelled. A batch is retried once after a transient error, because a
/// smaller call may take less time; a single task is retried for as long as another session blocks it.
async fn call_complete(
    shared: &Shared,
    connection: &mut Connection<'_>,
    outputs: &[(&TaskId, &str)],
) -> Option<Result<HashSet<TaskId>, DatabaseError>> {
    let mut retries = Retries::default();
    loop {
        match shared.services.engine.complete(connection.get().await?, outputs).await {
            Err(error) if connection.was_lost_by(&error) => {}
            Err(error) if is_transient(&error) => {
                let operation = match outputs {
                    [(task, _)] => format!("cannot complete {} of run {}", task.step_slug, task.run_id),
                    _ => format!("cannot complete {} tasks", outputs.len()),
                };
                shared.emit_rejected(operation, &error);
                let is_cancelled = error.failure() == Failure::Cancelled;
                if (outputs.len() > 1 && retries.count > 0) || (is_cancelled && retries.count >= MAX_CANCELLATIONS) {
                    return Some(Err(error));
                }
                if !retries.wait(shared).await {
                    return None;
                }
            }
            other => return Some(other),
        }
    }
}

/// Whether the same call may succeed if it is repeated.
fn is_transient(error: &DatabaseError) -> bool {
    matches!(error.failure(), Failure::Conflict | Failure::LockTimeout | Failure::Cancelled)
}

/// Retries of a call after transient errors.
#[derive(Default)]
struct Retries {
    backoff: Backoff,
    count: u32,
}

impl Retries {
    /// Waits before the next attempt. Returns false if the worker is cancelled.
    async fn wait(&mut self, shared: &Shared) -> bool {
        self.count += 1;
        if shared.is_cancelled() {
            return false;
        }
        tokio::time::sleep(self.backoff.failed()).await;
        true
    }
}

/// The error of an attempt whose output the database rejected: permanent, unless the database may accept the output later.
fn output_rejected(error: &DatabaseError) -> HandlerError {
    let message = format!("the database rejected the output: {error}");
    if is_transient(error) { HandlerError::retry(message) } else { HandlerError::permanent(message) }
}

/// Fails an attempt. Returns false if the task no longer belonged to this worker.
async fn fail(shared: &Shared, connection: &mut Connection<'_>, task: &FinishedTask, error: &HandlerError) -> bool {
    let name = shared.task_name(task.flow, &task.id);
    let message = shared.services.secrets.redact(&error.message).into_owned();
    let error = &HandlerError { message, is_permanent: error.is_permanent };
    let mut retries = Retries::default();
    loop {
        let Some(open) = connection.get().await else { return true };
        match shared.services.engine.fail(open, &shared.worker_ids[task.flow], &task.id, error).await {
            Ok(Some(retries)) => {
                let message = error.message.clone();
                shared.emit(&Event::TaskFailed { task: name, duration: task.duration, message, retries });
                // The queue knows the time of the next attempt, or which steps continue without the task.
                shared.dispatcher.request_check();
                return true;
            }
            Ok(None) => return false,
            Err(rejection) if connection.was_lost_by(&rejection) => {}
            Err(rejection) => {
                shared.emit_rejected(format!("cannot fail {name}"), &rejection);
                if !(is_transient(&rejection) && retries.wait(shared).await) {
                    return true;
                }
            }
        }
    }
}

/// Reads the status of a task that was not completed by this worker's call, and emits the event: its transaction was
/// interrupted, or its output was late or rejected. Official engines do not return the reason from the completion.
async fn emit_status(shared: &Shared, connection: &mut Connection<'_>, task: &FinishedTask) {
    loop {
        let Some(open) = connection.get().await else { return };
        match shared.services.engine.completion_status(open, &task.id).await {
            Ok(CompletionStatus::Completed) => return emit_completed(shared, task),
            Ok(CompletionStatus::OutputRejected(message)) => {
                let name = shared.task_name(task.flow, &task.id);
                let duration = task.duration;
                return shared.emit(&Event::TaskFailed { task: name, duration, message, retries: false });
            }
            Err(error) if connection.was_lost_by(&error) => {}
            Ok(CompletionStatus::LeaseLost) | Err(_) => {
                return shared.emit(&Event::TaskLate(shared.task_name(task.flow, &task.id)));
            }
        }
    }
}

/// Returns claimed tasks to their queue.
pub(crate) async fn return_tasks(
    shared: &Shared,
    connection: &mut Connection<'_>,
    flow: usize,
    ids: &[TaskId],
    options: ReturnOptions,
) {
    let slug = shared.flows[flow].slug.as_str();
    let mut retries = Retries::default();
    loop {
        let Some(open) = connection.get().await else { return };
        let owner = (slug, shared.worker_ids[flow].as_str());
        match shared.services.engine.return_tasks(open, owner, ids, options).await {
            Ok(0) => return,
            Ok(tasks) => {
                shared.dispatcher.request_check();
                return shared.emit(&Event::TasksReturned { flow: slug.to_owned(), tasks });
            }
            Err(error) if connection.was_lost_by(&error) => {}
            Err(error) => {
                shared.emit_rejected(format!("cannot return tasks of {slug} to the queue"), &error);
                if !(is_transient(&error) && retries.wait(shared).await) {
                    return;
                }
            }
        }
    }
}
