//! Waits for changes of a run: by LISTEN if the database delivers the engine's events, otherwise by polling.

use std::fmt;
use std::time::Duration;

use minijinja::context;
use serde::Deserialize;
use sqlx::postgres::{PgConnection, PgListener};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{RunsError, query};
use crate::database::{Target, uses_transaction_pooler};

/// The channel of the engine's events.
const CHANNEL: &str = "pgflow_events";
/// The polling interval without notifications.
const POLL: Duration = Duration::from_millis(500);
/// The polling interval with notifications, which can be lost with a connection.
const SAFETY: Duration = Duration::from_secs(5);

/// The reason why events cannot be received and the run is polled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollingReason {
    /// The engine does not send events to PostgreSQL's channel.
    SentElsewhere,
    /// Events are disabled in this database.
    SwitchedOff,
    /// The connection leads to a transaction pooler, which would deliver notifications to any client.
    Pooled,
    /// LISTEN failed, as on a standby server.
    Refused(String),
}

impl fmt::Display for PollingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SentElsewhere => write!(f, "this engine does not send events to the channel {CHANNEL}"),
            Self::SwitchedOff => f.write_str("events are disabled in this database (pgflow.events = off)"),
            Self::Pooled => f.write_str("a pooler in transaction mode does not forward notifications"),
            Self::Refused(why) => write!(f, "LISTEN failed: {why}"),
        }
    }
}

/// Waits for changes of a run.
pub struct RunWatcher {
    listener: Option<PgListener>,
    topic: String,
}

/// The row of `events.sql`.
#[derive(Deserialize)]
struct EventSettings {
    notifies: bool,
    is_off: bool,
}

impl RunWatcher {
    /// Listens for the events of a run. If that is not possible, returns the reason, and the watcher polls.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn open(
        target: &Target,
        connection: &mut PgConnection,
        run_id: &str,
    ) -> Result<(Self, Option<PollingReason>), RunsError> {
        let (listener, reason) = match listen(target, connection).await? {
            Ok(listener) => (Some(listener), None),
            Err(reason) => (None, Some(reason)),
        };
        Ok((Self { listener, topic: format!("pgflow:run:{run_id}") }, reason))
    }

    /// Waits until the run has changed or the polling interval has elapsed.
    pub async fn changed(&mut self) {
        let Some(listener) = &mut self.listener else { return sleep(POLL).await };
        let deadline = Instant::now() + SAFETY;
        loop {
            match timeout(deadline.saturating_duration_since(Instant::now()), listener.recv()).await {
                Ok(Ok(notification)) if is_about(notification.payload(), &self.topic) => return,
                Ok(Ok(_)) => {}
                // The listener reconnects by itself, or fails again on the next call.
                Ok(Err(_)) => return sleep_until(deadline.min(Instant::now() + POLL)).await,
                Err(_) => return,
            }
        }
    }
}

async fn listen(
    target: &Target,
    connection: &mut PgConnection,
) -> Result<Result<PgListener, PollingReason>, RunsError> {
    let settings: Vec<EventSettings> = query::read(connection, "events.sql", context! {}).await?;
    match settings.first() {
        Some(EventSettings { notifies: true, is_off: false }) => {}
        Some(EventSettings { notifies: true, is_off: true }) => return Ok(Err(PollingReason::SwitchedOff)),
        _ => return Ok(Err(PollingReason::SentElsewhere)),
    }
    let mut listener = match target.listener().await {
        Ok(listener) => listener,
        Err(error) => return Ok(Err(PollingReason::Refused(error.to_string()))),
    };
    if uses_transaction_pooler(&mut listener, connection).await? {
        return Ok(Err(PollingReason::Pooled));
    }
    match listener.listen(CHANNEL).await {
        Ok(()) => Ok(Ok(listener)),
        Err(error) => Ok(Err(PollingReason::Refused(error.to_string()))),
    }
}

/// Whether a notification is an event of this topic. Other programs may send other payloads on the channel.
fn is_about(payload: &str, topic: &str) -> bool {
    #[derive(Deserialize)]
    struct Notification {
        topic: String,
    }
    serde_json::from_str::<Notification>(payload).is_ok_and(|notification| notification.topic == topic)
}
