//! Reports of queues and workers.

use serde::Serialize;

use super::super::Subject;
use super::super::format::json;
use super::super::layout::{Cell, Column, Table, Text, TextLayout};
use super::super::style::{BAD, CARE, DIM, GOOD};
use super::super::words::{duration, last_worker, time};
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::{QueueDepth, QueueWorkers, Worker, WorkerHealth};

const QUEUES: [Column; 9] = [
    Column::name("QUEUE"),
    Column::number("MESSAGES").or("TOTAL"),
    Column::number("WAITING"),
    Column::number("LONGEST"),
    Column::number("DELAYED").rare(),
    Column::number("IN FLIGHT").or("BUSY"),
    Column::number("OLDEST"),
    Column::number("WORKERS"),
    Column::whole(""),
];

/// The report as text.
pub fn queues_text(queues: &[QueueDepth], subject: &Subject, layout: TextLayout) -> String {
    let mut text = Text::titled("Queues of", subject, layout);
    text.blank();
    if queues.is_empty() {
        text.line("None: the database has no flows.");
        return text.finish();
    }
    let seconds = |seconds: Option<f64>| Cell::from(seconds.map(duration).unwrap_or_default());
    let mut table = Table::new(&QUEUES);
    for queue in queues {
        table.row([
            queue.slug.clone().into(),
            queue.messages.map_or_else(|| Cell::missing("-"), Cell::number),
            Cell::number(queue.waiting),
            seconds(queue.longest_wait_seconds),
            Cell::number(queue.delayed),
            Cell::number(queue.in_flight),
            seconds(queue.oldest_seconds),
            Cell::number(queue.workers),
            note(queue).unwrap_or_else(|| "".into()),
        ]);
    }
    text.table(&table);
    let waiting: u64 = queues.iter().map(|queue| queue.waiting).sum();
    let in_flight: u64 = queues.iter().map(|queue| queue.in_flight).sum();
    text.blank();
    text.line(format!(
        "{}: {} waiting, {} in flight.",
        counted(queues.len(), "queue"),
        counted(usize::try_from(waiting).unwrap_or(usize::MAX), "message"),
        counted(usize::try_from(in_flight).unwrap_or(usize::MAX), "task")
    ));
    if queues.iter().any(|queue| note(queue).is_some()) {
        text.line("Run `flowsmith stalled` to see how to fix each note.");
    }
    text.finish()
}

/// A problem of a queue, or an intended state that is easily forgotten.
fn note(queue: &QueueDepth) -> Option<Cell> {
    Some(match queue {
        QueueDepth { messages: None, .. } => Cell::styled(BAD, "the queue is missing").or("missing"),
        QueueDepth { is_paused: true, .. } => Cell::styled(CARE, "paused"),
        QueueDepth { workers: 0, waiting: 1.., .. } => Cell::styled(BAD, "no worker is alive").or("no worker"),
        _ => return None,
    })
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

const WORKERS: [Column; 7] = [
    Column::cut("WORKER"),
    Column::name("QUEUE"),
    Column::whole("HEALTH"),
    Column::whole("HEARTBEAT"),
    Column::number("IN FLIGHT").or("BUSY"),
    Column::whole("STARTED (UTC)"),
    Column::cut("FUNCTION"),
];

/// The workers as text. `summary` describes the workers of the requested queues if none is listed.
pub fn workers_text(
    workers: &[Worker],
    summary: Option<&QueueWorkers>,
    subject: &Subject,
    layout: TextLayout,
) -> String {
    let mut text = Text::titled("Workers of", subject, layout);
    text.blank();
    if workers.is_empty() {
        text.line(match summary {
            Some(QueueWorkers { last_worker: health @ Some(_), heartbeat_seconds, .. }) => {
                format!("None is running; {}. Pass --all to list it.", last_worker(*health, *heartbeat_seconds))
            }
            _ => format!("None is running; {}.", last_worker(None, None)),
        });
        return text.finish();
    }
    let mut table = Table::new(&WORKERS);
    for worker in workers {
        let style = match worker.health {
            WorkerHealth::Alive => GOOD,
            WorkerHealth::Deprecated => CARE,
            WorkerHealth::Silent => BAD,
            WorkerHealth::Stopped => DIM,
        };
        table.row([
            worker.worker_id.clone().into(),
            worker.queue.clone().into(),
            Cell::styled(style, worker.health.as_str()),
            format!("{} ago", duration(worker.silent_seconds)).into(),
            Cell::number(worker.in_flight),
            time(&worker.started_at).into(),
            worker.function.clone().into(),
        ]);
    }
    text.table(&table);
    let count = |health| workers.iter().filter(|worker| worker.health == health).count();
    text.blank();
    text.line(format!(
        "{}, {} alive, {} silent.",
        counted(workers.len(), "worker"),
        count(WorkerHealth::Alive),
        count(WorkerHealth::Silent)
    ));
    if count(WorkerHealth::Silent) > 0 {
        text.line(
            "Silent workers have crashed or hang; their tasks are queued again after the timeout, see `flowsmith stalled`.",
        );
    }
    text.finish()
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
