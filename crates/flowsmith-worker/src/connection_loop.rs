//! A connection loop: one connection that performs the jobs of the dispatcher. It claims tasks, or reports their results.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use crate::acknowledge::{report, return_tasks};
use crate::connection::{Connection, connection};
use crate::dispatcher::Job;
use crate::engine::{ClaimedTask, ReturnOptions, TaskId};
use crate::event::Event;
use crate::execute::execute;
use crate::shared::Shared;
use crate::task::{FinishedTask, Task};
use flowsmith_postgres::database::DatabaseError;

/// How long no tasks of a flow are claimed after the database rejected a claim.
const PAUSE_AFTER_REJECTION: Duration = Duration::from_secs(5);

/// How tasks of unknown steps return to the queue. Another worker may have a handler.
const RETURN_UNKNOWN: ReturnOptions = ReturnOptions { started: false, delay: 5 };

/// Performs jobs until the dispatcher has drained.
pub(crate) async fn connection_loop(shared: Arc<Shared>, open: Option<PgConnection>) {
    let mut connection = connection(&shared, open);
    while let Some(job) = shared.dispatcher.next().await {
        match job {
            Job::Claim { flow, quantity } => claim(&shared, &mut connection, flow, quantity).await,
            Job::Report(finished) => {
                let ids: Vec<TaskId> = finished.iter().map(|task| task.id.clone()).collect();
                let bytes = finished.iter().map(FinishedTask::output_size).sum();
                report(&shared, &mut connection, finished).await;
                shared.dispatcher.acknowledge(&ids, bytes);
            }
        }
    }
}

async fn claim(shared: &Arc<Shared>, connection: &mut Connection<'_>, flow: usize, quantity: usize) {
    let Some(open) = connection.get().await else { return shared.dispatcher.claim_failed(flow, quantity) };
    let slug = &shared.flows[flow].slug;
    match shared.services.engine.claim(open, slug, &shared.worker_ids[flow], quantity).await {
        Ok(claimed) => {
            shared.dispatcher.record_claim(flow, false);
            let (tasks, unknown) = tasks(shared, flow, claimed);
            for task in shared.dispatcher.claimed(flow, quantity, tasks) {
                tokio::spawn(execute(Arc::clone(shared), task));
            }
            if !unknown.is_empty() {
                return_tasks(shared, connection, flow, &unknown, RETURN_UNKNOWN).await;
            }
            // Handlers that do not wait for anything finish before the next job, which can then report their results.
            tokio::task::yield_now().await;
        }
        Err(error) => {
            handle_claim_error(shared, connection, flow, &error).await;
            shared.dispatcher.claim_failed(flow, quantity);
        }
    }
}

async fn handle_claim_error(shared: &Shared, connection: &mut Connection<'_>, flow: usize, error: &DatabaseError) {
    if connection.was_lost_by(error) {
        // The server may have assigned tasks to this worker without its knowledge.
        return shared.dispatcher.mark_interrupted(flow);
    }
    let slug = &shared.flows[flow].slug;
    // The maintenance reports a missing queue, once.
    if !(error.is_undefined_table() && is_missing(shared, connection, slug).await) {
        shared.dispatcher.record_claim(flow, true);
        shared.emit_rejected(format!("cannot claim tasks of {slug}"), error);
    }
    shared.dispatcher.pause(flow, PAUSE_AFTER_REJECTION);
}

async fn is_missing(shared: &Shared, connection: &mut Connection<'_>, slug: &str) -> bool {
    let Some(open) = connection.get().await else { return false };
    shared.services.engine.missing_queues(open, &[slug]).await.is_ok_and(|missing| !missing.is_empty())
}

/// The claimed tasks, and those of steps without a handler.
fn tasks(shared: &Shared, flow: usize, claimed: Vec<ClaimedTask>) -> (Vec<Task>, Vec<TaskId>) {
    let claimed_at = Instant::now();
    let (mut tasks, mut unknown) = (Vec::with_capacity(claimed.len()), Vec::new());
    for ClaimedTask { id, input, attempt } in claimed {
        match shared.flows[flow].step(&id.step_slug) {
            Some(step) => tasks.push(Task { flow, step: Arc::clone(step), id, input, attempt, claimed_at }),
            None => {
                let (flow, step) = (shared.flows[flow].slug.clone(), id.step_slug.clone());
                shared.emit(&Event::UnknownStep { flow, step });
                unknown.push(id);
            }
        }
    }
    (tasks, unknown)
}
