//! Measures which events arrive and how late.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use sqlx::postgres::PgListener;
use tokio::task::JoinHandle;

use super::BenchError;
use crate::database::{DatabaseError, Failure, Target};

/// The longest wait for events after all tasks are processed.
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(2);

/// The times at which the calls that cause events returned: the call that started a run, and the last call that completed one of
/// its tasks.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) start: HashMap<String, Instant>,
    pub(super) completion: HashMap<String, Instant>,
}

/// The events of one repetition.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// The expected number: for each run, one event for its start and one for its end.
    pub(super) expected: usize,
    /// The number of received events of these kinds; a duplicate counts twice.
    pub(super) received: usize,
    pub(super) latencies: Vec<Duration>,
}

/// An event of a run (not of a step).
struct Arrival {
    run_id: String,
    has_started: bool,
    at: Instant,
}

/// The relevant fields of a notification.
#[derive(Deserialize)]
struct Notification {
    event: String,
    topic: String,
}

/// Collects events from `listen` to `collect`.
pub(super) struct Events {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    listening: JoinHandle<Result<(), sqlx::Error>>,
}

impl Events {
    pub(super) async fn listen(target: &Target) -> Result<Self, BenchError> {
        let mut listener = target.listener().await?;
        listener.listen("pgflow_events").await?;
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let listening = tokio::spawn(keep(listener, Arc::clone(&arrivals)));
        Ok(Self { arrivals, listening })
    }

    /// Waits for all events, for at most ten seconds.
    pub(super) async fn collect(&self, calls: &Calls) -> Result<Arrivals, BenchError> {
        let expected = 2 * calls.start.len();
        let deadline = Instant::now() + EVENT_TIMEOUT;
        loop {
            let arrivals = self.of(calls);
            if arrivals.received >= expected || Instant::now() >= deadline {
                return Ok(arrivals);
            }
            if self.listening.is_finished() {
                let lost = "the connection that listens for events was lost";
                return Err(DatabaseError::new(Failure::Lost, lost).into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn of(&self, calls: &Calls) -> Arrivals {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let latencies: Vec<Duration> = arrivals
            .iter()
            .filter_map(|arrival| {
                let calls = if arrival.has_started { &calls.start } else { &calls.completion };
                // The event may arrive before the call returns; its latency is then zero.
                Some(arrival.at.saturating_duration_since(*calls.get(&arrival.run_id)?))
            })
            .collect();
        Arrivals { expected: 2 * calls.start.len(), received: latencies.len(), latencies }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Stores the events of runs until the connection ends.
async fn keep(mut listener: PgListener, arrivals: Arc<Mutex<Vec<Arrival>>>) -> Result<(), sqlx::Error> {
    // By default the listener reconnects silently, and missed events would go unnoticed.
    listener.eager_reconnect(false);
    while let Some(notification) = listener.try_recv().await? {
        let at = Instant::now();
        // Ignore other notifications on the channel.
        let Ok(Notification { event, topic }) = serde_json::from_str(notification.payload()) else { continue };
        let has_started = match event.as_str() {
            "run:started" => true,
            "run:completed" | "run:failed" => false,
            _ => continue,
        };
        let Some(run_id) = topic.strip_prefix("pgflow:run:") else { continue };
        let arrival = Arrival { run_id: run_id.to_owned(), has_started, at };
        arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
    }
    Ok(())
}
