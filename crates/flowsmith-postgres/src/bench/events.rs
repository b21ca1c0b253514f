//! Events as they arrive, beside those that should.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgListener};
use tokio::task::JoinHandle;

use super::BenchError;
use crate::database::{DatabaseError, Failure, Target};

/// Longest wait for events after everything is processed.
const PATIENCE: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(2);

/// When the calls that cause events were answered: the one that started a run, and the last one that completed a task of it.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) start: HashMap<String, Instant>,
    pub(super) completion: HashMap<String, Instant>,
}

/// What came of a repetition's events.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// One that says that it has started and one that says that it has ended, for each run.
    pub(super) expected: usize,
    /// Those and no others; one that came twice counts twice.
    pub(super) received: usize,
    pub(super) latencies: Vec<Duration>,
}

/// An event about a whole run.
struct Arrival {
    run_id: String,
    has_started: bool,
    at: Instant,
}

/// What a notification says, as far as it matters here.
#[derive(Deserialize)]
struct Notification {
    event: String,
    topic: String,
}

/// Listens from `listen` to `collect`.
pub(super) struct Events {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    listening: JoinHandle<Result<(), sqlx::Error>>,
}

impl Events {
    pub(super) async fn listen(options: PgConnectOptions) -> Result<Self, BenchError> {
        let mut listener = Target::new(options).listener().await?;
        listener.listen("pgflow_events").await?;
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let listening = tokio::spawn(keep(listener, Arc::clone(&arrivals)));
        Ok(Self { arrivals, listening })
    }

    /// Waits until all are there, or for ten seconds.
    pub(super) async fn collect(&self, calls: &Calls) -> Result<Arrivals, BenchError> {
        let expected = 2 * calls.start.len();
        let deadline = Instant::now() + PATIENCE;
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
                // It may overtake the answer: then nobody has waited for it.
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

/// Keeps events about whole runs until the connection ends.
async fn keep(mut listener: PgListener, arrivals: Arc<Mutex<Vec<Arrival>>>) -> Result<(), sqlx::Error> {
    // The listener would connect again by itself, and nobody would hear of what was missed.
    listener.eager_reconnect(false);
    while let Some(notification) = listener.try_recv().await? {
        let at = Instant::now();
        // Whatever else is sent on the channel is not an event of ours.
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
