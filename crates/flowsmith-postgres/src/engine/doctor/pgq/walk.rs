//! The self-test of PgQ: its basic functions, called part by part as a producer, a ticker and consumers call them.

use std::time::{Duration, Instant};

use sqlx::{FromRow, PgConnection};

use super::scratch::{Batch, Scratch};
use super::{DoctorCheck, SELF_TEST, skipped_or_failed};
use crate::database::{DatabaseError, Failure};
use crate::engine::doctor::CheckStatus;

/// The parts of the self-test, each with the parts that it depends on.
const PARTS: [(&str, &[&str]); 11] = [
    ("create", &[]),
    ("insert", &["create"]),
    ("register", &["create"]),
    ("tick", &["create"]),
    ("next batch", &["insert", "register", "tick"]),
    ("event retry", &["next batch"]),
    ("batch retry", &["next batch"]),
    ("monitoring", &["next batch"]),
    ("unregister", &["register"]),
    ("throughput", &["next batch"]),
    ("two consumers", &["event retry"]),
];

/// The number of events of the throughput test, inserted in transactions of `EVENTS_AT_ONCE`.
const EVENTS: i32 = 5000;
const EVENTS_AT_ONCE: i32 = 500;
/// The time limit for inserting them.
const INSERTING: Duration = Duration::from_millis(500);

/// The reason why a part did not pass.
enum WalkError {
    Database(DatabaseError),
    Unexpected(String),
}

impl From<DatabaseError> for WalkError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<sqlx::Error> for WalkError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

type WalkResult = Result<String, WalkError>;

pub(super) async fn walk(connection: &mut PgConnection) -> Result<Vec<DoctorCheck>, DatabaseError> {
    let mut queue = Scratch::named(connection).await?;
    let mut checks = Vec::new();
    let mut passed = Vec::new();
    for (part, before) in PARTS {
        let name = format!("{SELF_TEST}: {part}");
        if let Some(before) = before.iter().find(|before| !passed.contains(*before)) {
            checks.push(DoctorCheck::skipped(&name, format!("part {before} did not pass")));
            continue;
        }
        checks.push(match walk_part(part, &mut queue).await {
            Ok(detail) => {
                passed.push(part);
                DoctorCheck::ok(&name, detail)
            }
            Err(WalkError::Database(error)) => not_passed(&name, error)?,
            Err(WalkError::Unexpected(what)) => failed(&name, what),
        });
    }
    if let Err(error) = queue.drop().await {
        if error.failure() == Failure::Lost {
            return Err(error);
        }
        let advice = format!(
            "run `flowsmith doctor` again, or `select pgq.drop_queue('{}', true)`, to drop this scratch queue",
            queue.name
        );
        checks.push(DoctorCheck::found(
            CheckStatus::Failed,
            &format!("{SELF_TEST}: cleanup"),
            format!("the scratch queue {} could not be dropped: {error}", queue.name),
            &advice,
        ));
    }
    Ok(checks)
}

fn not_passed(name: &str, error: DatabaseError) -> Result<DoctorCheck, DatabaseError> {
    let lost = error.failure() == Failure::Lost;
    skipped_or_failed(name, error).or_else(|error| if lost { Err(error) } else { Ok(failed(name, error.to_string())) })
}

fn failed(name: &str, what: String) -> DoctorCheck {
    let advice = "compare PgQ with `create extension pgq` in a new database: a function returned an unexpected result";
    DoctorCheck::found(CheckStatus::Failed, name, what, advice)
}

async fn walk_part(part: &str, queue: &mut Scratch<'_>) -> WalkResult {
    let one = queue.name.clone();
    match part {
        "create" => create(queue).await,
        "insert" => insert(queue).await,
        "register" => register(queue, &one).await,
        "tick" => tick(queue).await,
        "next batch" => next_batch(queue, &one).await,
        "event retry" => event_retry(queue, &one).await,
        "batch retry" => batch_retry(queue, &one).await,
        "monitoring" => monitoring(queue, &one).await,
        "unregister" => unregister(queue, &one).await,
        "throughput" => throughput(queue, &format!("{one}_throughput")).await,
        "two consumers" => two_consumers(queue, &format!("{one}_a"), &format!("{one}_b")).await,
        _ => Err(WalkError::Unexpected(format!("unknown part {part}"))),
    }
}

/// Compares a result with the expected one.
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, answer: T, expected: T) -> Result<(), WalkError> {
    if answer == expected {
        return Ok(());
    }
    Err(WalkError::Unexpected(format!("{what} returned {answer:?} instead of {expected:?}")))
}

/// Ticks and opens the batch that ends with this tick.
async fn tick_and_take(queue: &mut Scratch<'_>, consumer: &str) -> Result<Batch, WalkError> {
    tick(queue).await?;
    let batch = queue.next_batch(consumer).await?;
    batch.ok_or_else(|| WalkError::Unexpected("next_batch returned nothing after a tick".to_owned()))
}

async fn create(queue: &mut Scratch<'_>) -> WalkResult {
    let dropped = queue.drop_abandoned().await?;
    expect("create_queue", queue.create().await?, 1)?;
    Ok(if dropped == 0 { String::new() } else { format!("dropped {dropped} scratch queues of an interrupted doctor") })
}

async fn insert(queue: &mut Scratch<'_>) -> WalkResult {
    let ids = queue.insert(1, 3).await?;
    if ids.len() == 3 && ids.is_sorted_by(|a, b| a < b) {
        return Ok(String::new());
    }
    Err(WalkError::Unexpected(format!("insert_event returned the ids {ids:?}")))
}

async fn register(queue: &mut Scratch<'_>, consumer: &str) -> WalkResult {
    expect("register_consumer", queue.register(consumer).await?, 1)?;
    expect("register_consumer for a registered consumer", queue.register(consumer).await?, 0)?;
    Ok(String::new())
}

async fn tick(queue: &mut Scratch<'_>) -> WalkResult {
    let tick = queue.tick().await?;
    if tick.is_none() {
        return Err(WalkError::Unexpected("ticker created no tick".to_owned()));
    }
    Ok(String::new())
}

async fn next_batch(queue: &mut Scratch<'_>, consumer: &str) -> WalkResult {
    let missing = || WalkError::Unexpected("next_batch returned nothing after a tick".to_owned());
    let batch = queue.next_batch(consumer).await?.ok_or_else(missing)?;
    expect("get_batch_events", batch.data(), vec!["1", "2", "3"])?;
    let again = queue.next_batch(consumer).await?.ok_or_else(missing)?;
    expect("next_batch before finish_batch", again.id, batch.id)?;
    expect("finish_batch", queue.finish(&batch).await?, 1)?;
    expect("next_batch without a tick", queue.next_batch(consumer).await?.map(|batch| batch.id), None)?;
    Ok(String::new())
}

async fn event_retry(queue: &mut Scratch<'_>, consumer: &str) -> WalkResult {
    queue.insert(4, 2).await?;
    let batch = tick_and_take(queue, consumer).await?;
    expect("get_batch_events", batch.data(), vec!["4", "5"])?;
    expect("event_retry", queue.retry_event(&batch, &batch.events[1]).await?, 1)?;
    expect("a repeated event_retry", queue.retry_event(&batch, &batch.events[1]).await?, 0)?;
    queue.finish(&batch).await?;
    comes_back(queue, consumer, &batch.events[1..]).await
}

async fn batch_retry(queue: &mut Scratch<'_>, consumer: &str) -> WalkResult {
    queue.insert(6, 2).await?;
    let batch = tick_and_take(queue, consumer).await?;
    expect("batch_retry", queue.retry_batch(&batch).await?, 2)?;
    queue.finish(&batch).await?;
    comes_back(queue, consumer, &batch.events).await
}

/// Expects that these events wait for their retry and are delivered again with the retry counted.
async fn comes_back(queue: &mut Scratch<'_>, consumer: &str, events: &[super::scratch::Event]) -> WalkResult {
    expect("the number of events that wait for a retry", queue.return_retries().await?, events.len() as i64)?;
    let batch = tick_and_take(queue, consumer).await?;
    let facts = |events: &[super::scratch::Event], more| -> Vec<_> {
        events.iter().map(|event| (event.id, event.data.clone(), event.retries + more)).collect()
    };
    expect("the batch of the retry", facts(&batch.events, 0), facts(events, 1))?;
    queue.finish(&batch).await?;
    Ok(String::new())
}

/// The row of `monitoring.sql`.
#[derive(FromRow)]
struct Monitoring {
    last_tick_id: i64,
    has_lag: bool,
    ev_new: i64,
    last_tick: i64,
    pending_events: i64,
}

async fn monitoring(queue: &mut Scratch<'_>, consumer: &str) -> WalkResult {
    let read = async |queue: &mut Scratch<'_>| {
        let name = queue.name.clone();
        let mut transaction = queue.begin().await?;
        let query = transaction.query(include_str!("monitoring.sql")).bind(name).bind(consumer);
        let row = query.optional_row().await?.as_ref().map(Monitoring::from_row).transpose()?;
        row.ok_or_else(|| WalkError::Unexpected("get_queue_info or get_consumer_info returned nothing".to_owned()))
    };
    queue.insert(8, 2).await?;
    let before = read(queue).await?;
    expect("get_queue_info: ticker_lag", before.has_lag, true)?;
    expect("get_queue_info: ev_new", before.ev_new, 2)?;
    let batch = tick_and_take(queue, consumer).await?;
    let ticked = read(queue).await?;
    expect("get_queue_info: ev_new after a tick", ticked.ev_new, 0)?;
    expect("get_queue_info: last_tick_id", ticked.last_tick_id, before.last_tick_id + 1)?;
    let progress = (ticked.pending_events, ticked.last_tick);
    expect("get_consumer_info: pending_events and last_tick", progress, (2, before.last_tick_id))?;
    queue.finish(&batch).await?;
    let finished = read(queue).await?;
    let progress = (finished.pending_events, finished.last_tick);
    expect("get_consumer_info: pending_events and last_tick at the end", progress, (0, ticked.last_tick_id))?;
    Ok(String::new())
}

async fn unregister(queue: &mut Scratch<'_>, consumer: &str) -> WalkResult {
    expect("unregister_consumer", queue.unregister(consumer).await?, 1)?;
    expect("unregister_consumer for an unregistered consumer", queue.unregister(consumer).await?, 0)?;
    let left = queue.call("select count(*)::integer from pgq.get_consumer_info($1, $2)", consumer).await?;
    expect("get_consumer_info after unregister_consumer", left, 0)?;
    Ok(String::new())
}

/// Inserts events with a tick after each transaction, then consumes them batch by batch.
async fn throughput(queue: &mut Scratch<'_>, consumer: &str) -> WalkResult {
    // This tick excludes the events of earlier parts.
    tick(queue).await?;
    queue.register(consumer).await?;
    let (began, mut inserting) = (Instant::now(), Duration::ZERO);
    let mut inserted = 0;
    while inserted < EVENTS && began.elapsed() < INSERTING {
        let one = Instant::now();
        queue.insert(inserted, EVENTS_AT_ONCE).await?;
        inserting += one.elapsed();
        inserted += EVENTS_AT_ONCE;
        tick(queue).await?;
    }
    let (began, mut consumed) = (Instant::now(), 0);
    while let Some(batch) = queue.next_batch(consumer).await? {
        consumed += batch.events.len();
        queue.finish(&batch).await?;
    }
    let consuming = began.elapsed();
    expect("consuming all events", consumed, inserted as usize)?;
    queue.unregister(consumer).await?;
    let rate = |time: Duration| f64::from(inserted) / time.as_secs_f64();
    Ok(format!(
        "{inserted} events in transactions of {EVENTS_AT_ONCE}: {:.0} inserted/s, {:.0} consumed/s",
        rate(inserting),
        rate(consuming)
    ))
}

/// Each consumer receives every event, and a retry only reaches the consumer that requested it.
async fn two_consumers(queue: &mut Scratch<'_>, a: &str, b: &str) -> WalkResult {
    tick(queue).await?;
    queue.register(a).await?;
    queue.register(b).await?;
    queue.insert(1, 2).await?;
    let of_a = tick_and_take(queue, a).await?;
    let missing = || WalkError::Unexpected("the second consumer received no batch".to_owned());
    let of_b = queue.next_batch(b).await?.ok_or_else(missing)?;
    expect("the first consumer's batch", of_a.data(), vec!["1", "2"])?;
    expect("the second consumer's batch", of_b.data(), vec!["1", "2"])?;
    expect("event_retry", queue.retry_event(&of_a, &of_a.events[0]).await?, 1)?;
    queue.finish(&of_a).await?;
    queue.finish(&of_b).await?;
    comes_back(queue, a, &of_a.events[..1]).await?;
    let of_b = queue.next_batch(b).await?.ok_or_else(missing)?;
    expect("the second consumer's batch after the first one's retry", of_b.data(), vec![])?;
    queue.finish(&of_b).await?;
    queue.unregister(a).await?;
    queue.unregister(b).await?;
    Ok(String::new())
}
