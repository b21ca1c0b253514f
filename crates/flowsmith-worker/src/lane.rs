//! A lane: one connection that does whatever is to be done next, takes tasks or tells what came of them (see `report`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use super::board::Job;
use super::event::Event;
use super::link::Link;
use super::report::{hand_back, report};
use super::shared::{Shared, attend};
use super::task::{Finished, Handed, Task, TaskId};

/// How long a flow is left alone after its queue could not be read.
const REST: Duration = Duration::from_secs(5);

/// Works until the board has nothing more.
pub(super) async fn lane(shared: Arc<Shared>, connection: Option<PgConnection>) {
    let mut link = shared.link(connection);
    while let Some(job) = shared.board.next().await {
        match job {
            Job::Poll { flow, quantity } => poll(&shared, &mut link, flow, quantity).await,
            Job::Report(finished) => {
                let ids: Vec<TaskId> = finished.iter().map(|one| one.id.clone()).collect();
                let bytes = finished.iter().map(Finished::bytes).sum();
                report(&shared, &mut link, finished).await;
                shared.board.reported(&ids, bytes);
            }
        }
    }
}

async fn poll(shared: &Arc<Shared>, link: &mut Link<'_>, flow: usize, quantity: usize) {
    let missed = |shared: &Shared| drop(shared.board.polled(flow, quantity, Vec::new(), true));
    let Some(connection) = link.get().await else { return missed(shared) };
    let slug = &shared.flows[flow].slug;
    match shared.tools.engine.poll(connection, slug, &shared.worker_ids[flow], quantity).await {
        Ok(handed) => {
            shared.board.answered(flow, false);
            let (tasks, strange) = tasks(shared, flow, handed);
            for task in shared.board.polled(flow, quantity, tasks, false) {
                tokio::spawn(attend(Arc::clone(shared), task));
            }
            if !strange.is_empty() {
                hand_back(shared, link, flow, &strange, (false, 5)).await;
            }
            // Handlers that need not wait end before the next call, which then can tell of them.
            tokio::task::yield_now().await;
        }
        Err(error) => {
            if !link.was_lost_by(&error) {
                // That a queue is gone is told by the pulse, once.
                if !(error.is_undefined_table() && is_gone(shared, link, slug).await) {
                    shared.board.answered(flow, true);
                    let what = format!("cannot claim tasks of {slug}");
                    shared.tell(&Event::Refused { what, error: error.to_string() });
                }
                shared.board.rest(flow, REST);
            } else {
                // The server may have handed out tasks, and nobody has heard of it.
                shared.board.suspect(flow);
            }
            missed(shared);
        }
    }
}

/// Whether a flow's queue is not there.
async fn is_gone(shared: &Shared, link: &mut Link<'_>, slug: &str) -> bool {
    let Some(connection) = link.get().await else { return false };
    shared.tools.engine.gone(connection, &[slug]).await.is_ok_and(|gone| !gone.is_empty())
}

/// The tasks, and those of steps that nobody here knows.
fn tasks(shared: &Shared, flow: usize, handed: Vec<Handed>) -> (Vec<Task>, Vec<TaskId>) {
    let taken = Instant::now();
    let (mut tasks, mut strange) = (Vec::with_capacity(handed.len()), Vec::new());
    for Handed { run_id, step_slug, task_index, input, attempt } in handed {
        let id = TaskId { run_id, step_slug, task_index };
        match shared.flows[flow].step(&id.step_slug) {
            Some(step) => tasks.push(Task { flow, step: Arc::clone(step), id, input, attempt, taken }),
            None => {
                let (flow, step) = (shared.flows[flow].slug.clone(), id.step_slug.clone());
                shared.tell(&Event::UnknownStep { flow, step });
                strange.push(id);
            }
        }
    }
    (tasks, strange)
}
