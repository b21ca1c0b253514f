//! Reports of queues and workers.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::Subject;
use super::super::plan::json;
use super::super::style::{BAD, BOLD, CARE, DIM, GOOD, paint};
use super::table::{Cell, table};
use super::words::{duration, last_worker, time};
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::{QueueDepth, QueueWorkers, Worker, WorkerHealth};

/// The report as text.
pub fn queues_text(queues: &[QueueDepth], subject: &Subject) -> String {
    let mut text = format!("{} {} ({})\n\n", paint(BOLD, "Queues of"), subject.database, subject.engine);
    if queues.is_empty() {
        text.push_str("None: the database has no flows.\n");
        return text;
    }
    let head = ["QUEUE", "MESSAGES", "WAITING", "LONGEST", "DELAYED", "IN FLIGHT", "OLDEST", "WORKERS", ""];
    let rows: Vec<_> = queues.iter().map(row).collect();
    text.push_str(&table(&head, &rows));
    let waiting: u64 = queues.iter().map(|queue| queue.waiting).sum();
    let in_flight: u64 = queues.iter().map(|queue| queue.in_flight).sum();
    let _ = writeln!(
        text,
        "\n{}: {} waiting, {} in flight.",
        counted(queues.len(), "queue"),
        counted(usize::try_from(waiting).unwrap_or(usize::MAX), "message"),
        counted(usize::try_from(in_flight).unwrap_or(usize::MAX), "task")
    );
    if queues.iter().any(|queue| note(queue).is_some()) {
        text.push_str("Run `flowsmith stalled` to see how to fix each note.\n");
    }
    text
}

/// A problem of a queue, or an intended state that is easily forgotten.
fn note(queue: &QueueDepth) -> Option<Cell> {
    Some(match queue {
        QueueDepth { messages: None, .. } => Cell::styled(BAD, "the queue is missing"),
        QueueDepth { is_paused: true, .. } => Cell::styled(CARE, "paused"),
        QueueDepth { workers: 0, waiting: 1.., .. } => Cell::styled(BAD, "no worker is alive"),
        _ => return None,
    })
}

fn row(queue: &QueueDepth) -> Vec<Cell> {
    let seconds = |seconds: Option<f64>| seconds.map(duration).unwrap_or_default();
    vec![
        queue.slug.clone().into(),
        Cell::number(queue.messages.map_or_else(|| "-".to_owned(), |messages| messages.to_string())),
        Cell::number(queue.waiting),
        Cell::number(seconds(queue.longest_wait_seconds)),
        Cell::number(queue.delayed),
        Cell::number(queue.in_flight),
        Cell::number(seconds(queue.oldest_seconds)),
        Cell::number(queue.workers),
        note(queue).unwrap_or_else(|| Cell::from("")),
    ]
}

#[derive(Serialize)]
struct QueuesJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    queues: &'a [QueueDepth],
}

/// The report as JSON: `schema/queues.v1.json`.
pub fn queues_json(queues: &[QueueDepth], subject: &Subject) -> String {
    json(&QueuesJson { version: 1, database: &subject.database, engine: &subject.engine, queues })
}

/// The workers as text. `summary` describes the workers of the requested queues if none is listed.
pub fn workers_text(workers: &[Worker], summary: Option<&QueueWorkers>, subject: &Subject) -> String {
    let mut text = format!("{} {} ({})\n\n", paint(BOLD, "Workers of"), subject.database, subject.engine);
    if workers.is_empty() {
        let _ = match summary {
            Some(QueueWorkers { last_worker: health @ Some(_), heartbeat_seconds, .. }) => {
                writeln!(text, "None is running; {}. Pass --all to list it.", last_worker(*health, *heartbeat_seconds))
            }
            _ => writeln!(text, "None is running; {}.", last_worker(None, None)),
        };
        return text;
    }
    let rows: Vec<_> = workers
        .iter()
        .map(|worker| {
            let style = match worker.health {
                WorkerHealth::Alive => GOOD,
                WorkerHealth::Deprecated => CARE,
                WorkerHealth::Silent => BAD,
                WorkerHealth::Stopped => DIM,
            };
            vec![
                worker.worker_id.clone().into(),
                worker.queue.clone().into(),
                Cell::styled(style, worker.health.as_str()),
                Cell::from(format!("{} ago", duration(worker.silent_seconds))),
                Cell::number(worker.in_flight),
                time(&worker.started_at).into(),
                worker.function.clone().into(),
            ]
        })
        .collect();
    let head = ["WORKER", "QUEUE", "HEALTH", "HEARTBEAT", "IN FLIGHT", "STARTED (UTC)", "FUNCTION"];
    text.push_str(&table(&head, &rows));
    let count = |health| workers.iter().filter(|worker| worker.health == health).count();
    let _ = writeln!(
        text,
        "\n{}, {} alive, {} silent.",
        counted(workers.len(), "worker"),
        count(WorkerHealth::Alive),
        count(WorkerHealth::Silent)
    );
    if count(WorkerHealth::Silent) > 0 {
        text.push_str(
            "Silent workers have crashed or hang; their tasks are queued again after the timeout, see `flowsmith stalled`.\n",
        );
    }
    text
}

#[derive(Serialize)]
struct WorkersJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    workers: &'a [Worker],
}

/// The report as JSON: `schema/workers.v1.json`.
pub fn workers_json(workers: &[Worker], subject: &Subject) -> String {
    json(&WorkersJson { version: 1, database: &subject.database, engine: &subject.engine, workers })
}
