//! A connection that comes back after it was lost.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use super::event::Event;
use super::shared::Shared;
use crate::database::{DatabaseError, Failure, Target};

/// Pauses between attempts to connect: the first, and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Where a worker's connections go.
#[derive(Debug, Clone)]
pub(super) struct Origin(Target);

impl Origin {
    pub(super) fn new(target: &Target) -> Self {
        Self(target.clone().named("flowsmith worker"))
    }

    pub(super) fn target(&self) -> &Target {
        &self.0
    }

    pub(super) async fn connect(&self) -> Result<PgConnection, DatabaseError> {
        self.0.connect().await
    }
}

/// Whether the connection is what failed, so that another one may do better.
pub(super) fn is_lost(error: &DatabaseError) -> bool {
    matches!(error.failure(), Failure::Lost | Failure::Unreachable)
}

/// A connection that comes back after it was lost.
pub(super) struct Link<'s> {
    shared: &'s Shared,
    connection: Option<PgConnection>,
    /// Whether the next connection comes in place of one that was lost.
    was_lost: bool,
    /// When that was, and how long to wait before it is made anew: a pooler whose server is away lets everybody connect, and
    /// refuses the first query.
    lost_at: Option<Instant>,
    pause: Duration,
}

impl<'s> Link<'s> {
    pub(super) fn new(shared: &'s Shared, connection: Option<PgConnection>) -> Self {
        Self { shared, connection, was_lost: false, lost_at: None, pause: Duration::ZERO }
    }

    /// The connection, made anew as often as it takes. None where the worker is told to leave everything and the first attempt
    /// fails.
    pub(super) async fn get(&mut self) -> Option<&mut PgConnection> {
        let mut pause = FIRST;
        if self.connection.is_none() && !*self.shared.abandon.borrow() {
            tokio::time::sleep(self.pause).await;
        }
        while self.connection.is_none() {
            match self.shared.tools.origin.connect().await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    self.shared.contact.connect(std::mem::take(&mut self.was_lost));
                    if pause > FIRST {
                        self.shared.tell(&Event::Reconnected);
                    }
                }
                Err(error) => {
                    self.shared.contact.lose();
                    if *self.shared.abandon.borrow() {
                        return None;
                    }
                    self.shared.tell(&Event::Disconnected { error: error.to_string(), again_in: pause });
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST);
                }
            }
        }
        self.connection.as_mut()
    }

    /// After a failure: whether the connection was lost, and is to be made anew. A call that was refused leaves nothing behind.
    pub(super) fn was_lost_by(&mut self, error: &DatabaseError) -> bool {
        let lost = is_lost(error);
        if lost {
            let again = self.lost_at.is_some_and(|lost_at| lost_at.elapsed() < self.pause + LONGEST);
            self.pause = if again { (self.pause * 2).clamp(FIRST, LONGEST) } else { Duration::ZERO };
            self.lost_at = Some(Instant::now());
            self.shared.tell(&Event::Disconnected { error: error.to_string(), again_in: self.pause });
            self.connection = None;
            self.was_lost = true;
            self.shared.contact.lose();
        }
        lost
    }
}
