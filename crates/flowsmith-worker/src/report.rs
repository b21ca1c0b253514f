//! Telling the database what came of tasks, until it has heard: outputs in one call, failures and what goes back one by one.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::engine::Fate;
use super::event::Event;
use super::handler::{HandlerError, Outcome, Unreached};
use super::link::Link;
use super::shared::Shared;
use super::task::{End, Finished, TaskId};
use flowsmith_postgres::database::{DatabaseError, Failure, Pauses};

/// How often one task's completion may be cancelled, as for taking too long, before the attempt counts as failed.
const CANCELLED: u32 = 5;

/// Tells the database what came of tasks, again and again until it has heard.
pub(super) async fn report(shared: &Shared, link: &mut Link<'_>, finished: Vec<Finished>) {
    let mut outputs = Vec::new();
    let (mut failures, mut lost) = (Vec::new(), Vec::new());
    let mut back: BTreeMap<(usize, bool, u32), Vec<TaskId>> = BTreeMap::new();
    for mut one in finished {
        match std::mem::replace(&mut one.end, End::Outcome(Outcome::Gone)) {
            End::Outcome(Outcome::Output(output)) => outputs.push((one, output)),
            End::Outcome(Outcome::Failed(error)) => failures.push((one, error)),
            End::Outcome(Outcome::Completed) => told_completed(shared, &one),
            End::Outcome(Outcome::Gone) => shared.tell(&Event::TaskLate(shared.task_name(one.flow, &one.id))),
            End::Outcome(Outcome::Lost(error)) => {
                shared.tell(&Event::Disconnected { error: error.clone(), again_in: Duration::ZERO });
                lost.push((one, HandlerError::retry(format!("the query has lost its connection: {error}"))));
            }
            End::Outcome(Outcome::Unbegun(Unreached { error, pause })) => {
                if let Some(error) = error {
                    shared.tell(&Event::Disconnected { error, again_in: pause });
                }
                // Whole seconds, as the queue has them.
                let delay = u32::try_from(pause.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                back.entry((one.flow, false, delay)).or_default().push(one.id);
            }
            End::Back { begun, delay } => back.entry((one.flow, begun, delay)).or_default().push(one.id),
        }
    }
    if !outputs.is_empty() {
        failures.extend(complete(shared, link, outputs).await);
    }
    for (one, error) in failures {
        if !fail(shared, link, &one, &error).await {
            shared.tell(&Event::TaskLate(shared.task_name(one.flow, &one.id)));
        }
    }
    for (one, error) in lost {
        // Where its transaction was committed, the task is not to be failed any more.
        if !fail(shared, link, &one, &error).await {
            find_out(shared, link, &one).await;
        }
    }
    for ((flow, begun, delay), ids) in back {
        hand_back(shared, link, flow, &ids, (begun, delay)).await;
    }
}

fn told_completed(shared: &Shared, one: &Finished) {
    shared.tell(&Event::TaskCompleted { task: shared.task_name(one.flow, &one.id), took: one.took });
    if one.step.has_dependents {
        shared.board.want(one.flow);
    }
}

/// Returns those that the database refuses one by one, as an output with a character that it does not have.
async fn complete(
    shared: &Shared,
    link: &mut Link<'_>,
    outputs: Vec<(Finished, String)>,
) -> Vec<(Finished, HandlerError)> {
    let all: Vec<(&TaskId, &str)> = outputs.iter().map(|(one, output)| (&one.id, output.as_str())).collect();
    let refused = match call_complete(shared, link, &all).await {
        Some(Ok(completed)) => {
            told_all(shared, link, outputs.iter().map(|(one, _)| one), &completed).await;
            return Vec::new();
        }
        Some(Err(error)) => error,
        None => return Vec::new(),
    };
    if let [_] = outputs.as_slice() {
        let failed = |(one, _)| (one, refusal(&refused));
        return outputs.into_iter().map(failed).collect();
    }
    let mut failures = Vec::new();
    for (one, output) in outputs {
        match call_complete(shared, link, &[(&one.id, &output)]).await {
            Some(Ok(completed)) => told_all(shared, link, std::iter::once(&one), &completed).await,
            Some(Err(error)) => failures.push((one, refusal(&error))),
            None => {}
        }
    }
    failures
}

async fn told_all<'f>(
    shared: &Shared,
    link: &mut Link<'_>,
    finished: impl Iterator<Item = &'f Finished>,
    completed: &HashSet<TaskId>,
) {
    for one in finished {
        if completed.contains(&one.id) {
            told_completed(shared, one);
        } else {
            find_out(shared, link, one).await;
        }
    }
}

/// None where the worker is told to leave everything. What may do better later is tried again, with growing pauses: a batch twice,
/// since fewer tasks may not take too long, and one task for as long as somebody holds what it needs.
async fn call_complete(
    shared: &Shared,
    link: &mut Link<'_>,
    outputs: &[(&TaskId, &str)],
) -> Option<Result<HashSet<TaskId>, DatabaseError>> {
    let mut patience = Patience::default();
    loop {
        match shared.tools.engine.complete(link.get().await?, outputs).await {
            Err(error) if link.was_lost_by(&error) => {}
            Err(error) if is_passing(&error) => {
                let what = match outputs {
                    [(task, _)] => format!("cannot complete {} of run {}", task.step_slug, task.run_id),
                    _ => format!("cannot complete {} tasks", outputs.len()),
                };
                shared.tell(&Event::Refused { what, error: error.to_string() });
                let refusals = patience.refusals;
                let is_own_time = error.failure() == Failure::Cancelled;
                if (outputs.len() > 1 && refusals > 0) || (is_own_time && refusals >= CANCELLED) {
                    return Some(Err(error));
                }
                if !patience.wait(shared).await {
                    return None;
                }
            }
            other => return Some(other),
        }
    }
}

/// Whether the same call may succeed right afterwards.
fn is_passing(error: &DatabaseError) -> bool {
    matches!(error.failure(), Failure::Conflict | Failure::LockTimeout | Failure::Cancelled)
}

/// Pauses between refusals of the same call.
#[derive(Default)]
struct Patience {
    pauses: Pauses,
    refusals: u32,
}

impl Patience {
    /// Waits before the next attempt; whether there is to be one.
    async fn wait(&mut self, shared: &Shared) -> bool {
        self.refusals += 1;
        if *shared.abandon.borrow() {
            return false;
        }
        tokio::time::sleep(self.pauses.failed()).await;
        true
    }
}

/// What the failure of an attempt is whose output was refused: final, unless it may be taken later.
fn refusal(error: &DatabaseError) -> HandlerError {
    let message = format!("the database rejected the output: {error}");
    if is_passing(error) { HandlerError::retry(message) } else { HandlerError::last(message) }
}

/// Whether the task was still this worker's, as far as anybody can tell.
async fn fail(shared: &Shared, link: &mut Link<'_>, one: &Finished, error: &HandlerError) -> bool {
    let task = shared.task_name(one.flow, &one.id);
    let mut patience = Patience::default();
    loop {
        let Some(connection) = link.get().await else { return true };
        match shared.tools.engine.fail(connection, &shared.worker_ids[one.flow], &one.id, error).await {
            Ok(Some(retries)) => {
                let message = error.message.clone();
                shared.tell(&Event::TaskFailed { task, took: one.took, message, retries });
                // When it is tried again, or what goes on without it, is known to the queue.
                shared.board.look.notify_one();
                return true;
            }
            Ok(None) => return false,
            Err(refusal) if link.was_lost_by(&refusal) => {}
            Err(refusal) => {
                let is_passing = is_passing(&refusal);
                shared.tell(&Event::Refused { what: format!("cannot fail {task}"), error: refusal.to_string() });
                if !(is_passing && patience.wait(shared).await) {
                    return true;
                }
            }
        }
    }
}

/// Tells what became of a task that is not this worker's any more: its transaction was cut off, or its output came too late or
/// was refused. Asked for, since an official engine's answer to the completion does not tell the last.
async fn find_out(shared: &Shared, link: &mut Link<'_>, one: &Finished) {
    loop {
        let Some(connection) = link.get().await else { return };
        match shared.tools.engine.fate(connection, &one.id).await {
            Ok(Fate::Completed) => return told_completed(shared, one),
            Ok(Fate::Refused(message)) => {
                let task = shared.task_name(one.flow, &one.id);
                return shared.tell(&Event::TaskFailed { task, took: one.took, message, retries: false });
            }
            Err(error) if link.was_lost_by(&error) => {}
            Ok(Fate::Other) | Err(_) => {
                return shared.tell(&Event::TaskLate(shared.task_name(one.flow, &one.id)));
            }
        }
    }
}

pub(super) async fn hand_back(
    shared: &Shared,
    link: &mut Link<'_>,
    flow: usize,
    ids: &[TaskId],
    (begun, delay): (bool, u32),
) {
    let slug = &shared.flows[flow].slug;
    let mut patience = Patience::default();
    loop {
        let Some(connection) = link.get().await else { return };
        let of = (slug.as_str(), shared.worker_ids[flow].as_str());
        match shared.tools.engine.hand_back(connection, of, ids, begun, delay).await {
            Ok(0) => return,
            Ok(tasks) => {
                shared.board.look.notify_one();
                return shared.tell(&Event::HandedBack { flow: slug.clone(), tasks });
            }
            Err(error) if link.was_lost_by(&error) => {}
            Err(error) => {
                let is_passing = is_passing(&error);
                let what = format!("cannot return tasks of {slug} to the queue");
                shared.tell(&Event::Refused { what, error: error.to_string() });
                if !(is_passing && patience.wait(shared).await) {
                    return;
                }
            }
        }
    }
}
