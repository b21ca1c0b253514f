//! Hearing that something has happened, by LISTEN where that works, else by looking again and again.

use std::fmt;
use std::time::Duration;

use minijinja::context;
use serde::Deserialize;
use sqlx::postgres::{PgConnection, PgListener};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{OperateError, query};
use crate::database::{Target, shares_backends};

/// The channel of the engine's events.
const CHANNEL: &str = "pgflow_events";
/// How often to look where nobody tells.
const POLL: Duration = Duration::from_millis(500);
/// How often to look all the same where somebody does: what is lost with a connection is seen then.
const SAFETY: Duration = Duration::from_secs(5);

/// Why events do not come, so that one has to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyPolling {
    /// The engine sends them elsewhere than to PostgreSQL's channel.
    SentElsewhere,
    /// They are switched off in this database.
    SwitchedOff,
    /// A pooler gives each transaction another connection: notifications would come to anybody.
    Pooled,
    /// LISTEN is refused, as on a standby server.
    Refused(String),
}

impl fmt::Display for WhyPolling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SentElsewhere => write!(f, "this engine does not send events to the channel {CHANNEL}"),
            Self::SwitchedOff => f.write_str("events are disabled in this database (pgflow.events = off)"),
            Self::Pooled => f.write_str("a pooler in transaction mode does not forward notifications"),
            Self::Refused(why) => write!(f, "LISTEN failed: {why}"),
        }
    }
}

/// Tells when to look again at a run.
pub struct Wakeups {
    listener: Option<PgListener>,
    topic: String,
}

#[derive(Deserialize)]
struct Ability {
    notifies: bool,
    is_off: bool,
}

impl Wakeups {
    /// Listens for events of a run; where that cannot work, says why, and polls.
    ///
    /// # Errors
    /// Where the connection fails.
    pub async fn open(
        target: &Target,
        connection: &mut PgConnection,
        run_id: &str,
    ) -> Result<(Self, Option<WhyPolling>), OperateError> {
        let (listener, why) = match listen(target, connection).await? {
            Ok(listener) => (Some(listener), None),
            Err(why) => (None, Some(why)),
        };
        Ok((Self { listener, topic: format!("pgflow:run:{run_id}") }, why))
    }

    /// Waits until something has happened to the run, or it is time to look.
    pub async fn next(&mut self) {
        let Some(listener) = &mut self.listener else { return sleep(POLL).await };
        let deadline = Instant::now() + SAFETY;
        loop {
            match timeout(deadline.saturating_duration_since(Instant::now()), listener.recv()).await {
                Ok(Ok(notification)) if is_about(notification.payload(), &self.topic) => return,
                Ok(Ok(_)) => {}
                // The listener connects again by itself, or fails again the next time.
                Ok(Err(_)) => return sleep_until(deadline.min(Instant::now() + POLL)).await,
                Err(_) => return,
            }
        }
    }
}

async fn listen(
    target: &Target,
    connection: &mut PgConnection,
) -> Result<Result<PgListener, WhyPolling>, OperateError> {
    let abilities: Vec<Ability> = query::read(connection, include_str!("events.sql"), &context! {}).await?;
    let Some(ability) = abilities.into_iter().next() else { return Ok(Err(WhyPolling::SentElsewhere)) };
    if !ability.notifies {
        return Ok(Err(WhyPolling::SentElsewhere));
    }
    if ability.is_off {
        return Ok(Err(WhyPolling::SwitchedOff));
    }
    let mut listener = match target.listener().await {
        Ok(listener) => listener,
        Err(error) => return Ok(Err(WhyPolling::Refused(error.to_string()))),
    };
    if shares_backends(&mut listener, connection).await? {
        return Ok(Err(WhyPolling::Pooled));
    }
    match listener.listen(CHANNEL).await {
        Ok(()) => Ok(Ok(listener)),
        Err(error) => Ok(Err(WhyPolling::Refused(error.to_string()))),
    }
}

/// Whether a notification is an event of this topic. Whatever else is sent on the channel is not.
fn is_about(payload: &str, topic: &str) -> bool {
    #[derive(Deserialize)]
    struct Notification {
        topic: String,
    }
    serde_json::from_str::<Notification>(payload).is_ok_and(|notification| notification.topic == topic)
}
