//! One repetition: create a flow, start runs, process them, wait for their events, check the counts, delete the flow.

use std::time::{Duration, Instant};

use minijinja::context;
use sqlx::postgres::PgConnection;
use sqlx::{FromRow, Row as _};

use super::capabilities::Capabilities;
use super::events::{Arrivals, Events};
use super::load::{Job, Workers};
use super::{BenchError, Protocol, Scenario, TEMPLATES, clean};
use crate::database::Target;
use crate::database::transaction::{Opening, Transaction, send};

/// The settings that all repetitions share.
pub(super) struct RepetitionSettings<'a> {
    pub(super) target: &'a Target,
    pub(super) runs: usize,
    pub(super) workers: usize,
    pub(super) batch: usize,
    pub(super) protocol: Protocol,
    pub(super) capabilities: &'a Capabilities,
}

/// The duration of each phase.
#[derive(Debug)]
pub(super) struct Repetition {
    pub(super) runs: usize,
    pub(super) tasks: usize,
    pub(super) creation: Duration,
    pub(super) start: Duration,
    pub(super) processing: Duration,
    /// None if the database does not send events as notifications.
    pub(super) arrivals: Option<Arrivals>,
}

impl Repetition {
    /// Tasks per second.
    pub(super) fn rate(&self) -> f64 {
        self.tasks as f64 / self.processing.as_secs_f64()
    }
}

pub(super) async fn measure(
    settings: &RepetitionSettings<'_>,
    scenario: Scenario,
    flow: &str,
) -> Result<Repetition, BenchError> {
    let (runs, tasks) = (settings.runs, settings.runs * scenario.tasks_of_a_run());
    let mut connection = settings.target.connect().await?;
    let mut workers = Workers::connect(settings.target, settings.workers, &settings.capabilities.prefix).await?;
    let run_ids = format!("select gen_random_uuid()::text from generate_series(1, {runs})");
    let run_ids = send(&mut connection, Opening::snapshot(), &run_ids).await?;
    let run_ids: Vec<String> = run_ids.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let events = if settings.capabilities.notifies { Some(Events::listen(settings.target).await?) } else { None };

    let began = Instant::now();
    create(&mut connection, scenario, flow).await?;
    let creation = began.elapsed();

    let began = Instant::now();
    workers.start(flow, &run_ids).await?;
    let start = began.elapsed();

    let (protocol, batch) = (settings.protocol, settings.batch);
    let began = Instant::now();
    workers.process(&Job { scenario, flow: flow.to_owned(), tasks, protocol, batch }).await?;
    let processing = began.elapsed();

    let calls = workers.calls();
    let arrivals = match events {
        Some(events) => Some(events.collect(&calls).await?),
        None => None,
    };
    check(&mut connection, scenario, flow, (runs, tasks)).await?;
    clean::delete(&mut connection, settings.capabilities, flow).await?;
    Ok(Repetition { runs, tasks, creation, start, processing, arrivals })
}

async fn create(connection: &mut PgConnection, scenario: Scenario, flow: &str) -> Result<(), BenchError> {
    // The timeout exceeds any stall of the machine, so that no task is handed out twice.
    let mut transaction = Transaction::begin(connection, Opening::write()).await?;
    transaction.query("select from pgflow.create_flow($1, timeout => 3600)").bind(flow).execute().await?;
    for step in scenario.steps() {
        transaction
            .query("select from pgflow.add_step($1, $2, $3, step_type => $4)")
            .bind(flow)
            .bind(step.slug)
            .bind(step.after)
            .bind(if step.is_map { "map" } else { "single" })
            .execute()
            .await?;
    }
    Ok(transaction.commit().await?)
}

/// A row of `counts.sql`.
#[derive(FromRow)]
struct Counts {
    runs: i64,
    completed_runs: i64,
    completed_tasks: i64,
    messages: i64,
}

/// Checks that all work was done, because the measured speed would be meaningless otherwise.
async fn check(
    connection: &mut PgConnection,
    scenario: Scenario,
    flow: &str,
    (runs, tasks): (usize, usize),
) -> Result<(), BenchError> {
    let found = send(connection, Opening::snapshot(), &TEMPLATES.render("counts.sql", context! { flow })).await?;
    let found = Counts::from_row(found.first().ok_or(sqlx::Error::RowNotFound)?)?;
    let words = |runs: i64, completed: i64, tasks: i64, messages: i64| {
        format!(
            "{runs} runs, {completed} completed, with {tasks} completed tasks, and {messages} messages in the queue"
        )
    };
    let expected = words(runs as i64, runs as i64, tasks as i64, 0);
    let found = words(found.runs, found.completed_runs, found.completed_tasks, found.messages);
    if found == expected { Ok(()) } else { Err(BenchError::Miscount { scenario, expected, found }) }
}
