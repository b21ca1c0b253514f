//! Checks of PgQ's tables: tickers, table rotation and the lag of consumers.

use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection};

use super::scratch::NAMES;
use super::{CheckStatus, DoctorCheck, limited, skipped_or_failed};
use crate::database::DatabaseError;
use crate::database::transaction::{Opening, Transaction};

/// Tolerance in seconds. pgqd checks each queue once a second, and a busy server delays it.
const TICKER_GRACE: f64 = 10.0;
/// Tolerance in seconds, in addition to the time between ticks of an idle queue.
const CONSUMER_GRACE: f64 = 300.0;
/// The most lines that one check lists.
const LINES: usize = 20;

const START_PGQD: &str =
    "run the ticker `pgqd` for this database (Debian: package pgqd): without ticks, consumers receive no events";

/// A row of `queues.sql`.
#[derive(FromRow)]
struct Queue {
    name: String,
    since_tick: Option<f64>,
    idle_period: f64,
    since_rotation: f64,
    rotation_period: f64,
    is_ticked_elsewhere: bool,
    is_paused: bool,
    new_events: i64,
    events_per_second: Option<f64>,
}

/// A row of `consumers.sql`.
#[derive(FromRow)]
struct Consumer {
    queue: String,
    name: String,
    behind: f64,
    since_seen: f64,
    idle_period: f64,
    pending_events: i64,
    batch: Option<i64>,
}

pub(super) async fn audit(connection: &mut PgConnection) -> Result<Vec<DoctorCheck>, DatabaseError> {
    let mut checks = match rows::<Queue>(connection, include_str!("queues.sql")).await {
        Ok(queues) => vec![ticker(&queues), queue_lag(&queues)],
        Err(error) => vec![skipped_or_failed("pgq queues", error)?],
    };
    checks.push(match rows::<Consumer>(connection, include_str!("consumers.sql")).await {
        Ok(consumers) => consumer_lag(&consumers),
        Err(error) => skipped_or_failed("pgq consumers", error)?,
    });
    Ok(checks)
}

async fn rows<R>(connection: &mut PgConnection, sql: &'static str) -> Result<Vec<R>, DatabaseError>
where
    R: for<'r> FromRow<'r, PgRow>,
{
    let mut transaction = Transaction::begin(connection, limited(Opening::snapshot())).await?;
    let read = transaction.query(sql).bind(NAMES).rows().await;
    transaction.rollback().await?;
    Ok(read?.iter().map(R::from_row).collect::<Result<_, _>>()?)
}

/// A running ticker ticks each queue at least once in its idle period, even without events.
fn ticker(queues: &[Queue]) -> DoctorCheck {
    const NAME: &str = "pgq ticker";
    let overdue = |queue: &&Queue| {
        !queue.is_paused && queue.since_tick.is_none_or(|since| since > queue.idle_period + TICKER_GRACE)
    };
    let line = |queue: &Queue| {
        let last =
            queue.since_tick.map_or("never ticked".to_owned(), |since| format!("last ticked {} ago", time(since)));
        format!("{}: {last}, due every {}", queue.name, time(queue.idle_period))
    };
    let (elsewhere, ours): (Vec<&Queue>, Vec<&Queue>) =
        queues.iter().filter(overdue).partition(|queue| queue.is_ticked_elsewhere);
    if !ours.is_empty() {
        return DoctorCheck::found(CheckStatus::Failed, NAME, joined(ours.into_iter().map(line)), START_PGQD);
    }
    if !elsewhere.is_empty() {
        let advice = "these queues have an external ticker: check that their ticker or replication is running";
        return DoctorCheck::found(CheckStatus::Warning, NAME, joined(elsewhere.into_iter().map(line)), advice);
    }
    let paused: Vec<_> = queues.iter().filter(|queue| queue.is_paused).collect();
    if !paused.is_empty() {
        let detail = joined(paused.iter().map(|queue| format!("{}: the ticker is paused", queue.name)));
        let advice = "to resume it, run `select pgq.set_queue_config('<queue>', 'ticker_paused', 'false')`";
        return DoctorCheck::found(CheckStatus::Warning, NAME, detail, advice);
    }
    match queues.iter().filter_map(|queue| queue.since_tick).reduce(f64::max) {
        None => DoctorCheck::ok(NAME, "no queue"),
        Some(since) => DoctorCheck::ok(NAME, format!("every queue was ticked in the last {}", time(since.max(1.0)))),
    }
}

fn queue_lag(queues: &[Queue]) -> DoctorCheck {
    const NAME: &str = "pgq queues";
    let line = |queue: &Queue| {
        let rate = queue.events_per_second.map(|rate| format!(", {rate:.1} events/s")).unwrap_or_default();
        format!("{}: {} events since the last tick{rate}", queue.name, queue.new_events)
    };
    let unrotated: Vec<_> = queues.iter().filter(|queue| queue.since_rotation > 2.0 * queue.rotation_period).collect();
    if unrotated.is_empty() {
        let detail = if queues.is_empty() { "none".to_owned() } else { joined(queues.iter().map(line)) };
        return DoctorCheck::ok(NAME, detail);
    }
    let detail = joined(unrotated.into_iter().map(|queue| {
        let (since, period) = (time(queue.since_rotation), time(queue.rotation_period));
        format!("{}; tables rotated {since} ago, due every {period}", line(queue))
    }));
    let advice = "the tables grow without rotation: run `pgqd`, and check that no consumer lags";
    DoctorCheck::found(CheckStatus::Warning, NAME, detail, advice)
}

fn consumer_lag(consumers: &[Consumer]) -> DoctorCheck {
    const NAME: &str = "pgq consumers";
    let line = |consumer: &Consumer| {
        let batch = consumer.batch.map(|batch| format!(", in batch {batch}")).unwrap_or_default();
        format!(
            "{} of {}: {} behind, about {} events, last seen {} ago{batch}",
            consumer.name,
            consumer.queue,
            time(consumer.behind),
            consumer.pending_events,
            time(consumer.since_seen),
        )
    };
    let late: Vec<_> = consumers.iter().filter(|one| one.behind > one.idle_period + CONSUMER_GRACE).collect();
    if late.is_empty() {
        let detail = if consumers.is_empty() { "none".to_owned() } else { joined(consumers.iter().map(line)) };
        return DoctorCheck::ok(NAME, detail);
    }
    let advice = "start the consumer: PgQ keeps every event that a registered consumer has not consumed; a consumer that is no longer needed can be unregistered with pgq.unregister_consumer";
    DoctorCheck::found(CheckStatus::Warning, NAME, joined(late.into_iter().map(line)), advice)
}

/// One item per line, up to a limit, and the number of omitted items.
fn joined(lines: impl ExactSizeIterator<Item = String>) -> String {
    let more = lines.len().saturating_sub(LINES);
    let mut lines: Vec<String> = lines.take(LINES).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// A time in the largest unit of which there are at least two.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}
