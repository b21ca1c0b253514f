//! One repetition: create a flow, start runs, process them, wait for their events, check the counts, delete the flow.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, FromRow};

use super::capabilities::Capabilities;
use super::events::{Arrivals, Events};
use super::load::{Job, Workers};
use super::{BenchError, Protocol, Scenario, clean};

/// The settings that all repetitions share.
pub(super) struct RepetitionSettings<'a> {
    pub(super) options: PgConnectOptions,
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
    let mut connection = PgConnection::connect_with(&settings.options).await?;
    let mut workers = Workers::connect(&settings.options, settings.workers, &settings.capabilities.prefix).await?;
    let run_ids: Vec<String> = sqlx::query_scalar("select gen_random_uuid()::text from generate_series(1, $1)")
        .bind(runs as i64)
        .fetch_all(&mut connection)
        .await?;
    let events =
        if settings.capabilities.notifies { Some(Events::listen(settings.options.clone()).await?) } else { None };

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
    sqlx::query("select pgflow.create_flow($1, timeout => 3600)").bind(flow).execute(&mut *connection).await?;
    for step in scenario.steps() {
        sqlx::query("select pgflow.add_step($1, $2, $3, step_type => $4)")
            .bind(flow)
            .bind(step.slug)
            .bind(step.after)
            .bind(if step.is_map { "map" } else { "single" })
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
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
    let found: Counts = sqlx::query_as(include_str!("counts.sql")).bind(flow).fetch_one(connection).await?;
    let words = |runs: i64, completed: i64, tasks: i64, messages: i64| {
        format!(
            "{runs} runs, {completed} completed, with {tasks} completed tasks, and {messages} messages in the queue"
        )
    };
    let expected = words(runs as i64, runs as i64, tasks as i64, 0);
    let found = words(found.runs, found.completed_runs, found.completed_tasks, found.messages);
    if found == expected { Ok(()) } else { Err(BenchError::Miscount { scenario, expected, found }) }
}
