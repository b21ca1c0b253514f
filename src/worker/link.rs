//! A connection that comes back after it was lost.

use std::time::Duration;

use sqlx::postgres::PgConnection;

use super::event::Event;
use super::shared::Shared;
use crate::database::{DatabaseError, Pauses, Target};

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

/// A connection that comes back after it was lost.
pub(super) struct Link<'s> {
    shared: &'s Shared,
    connection: Option<PgConnection>,
    /// Whether the next connection comes in place of one that was lost.
    was_lost: bool,
    pauses: Pauses,
    /// How long to wait before it is made anew.
    pause: Duration,
}

impl<'s> Link<'s> {
    pub(super) fn new(shared: &'s Shared, connection: Option<PgConnection>) -> Self {
        Self { shared, connection, was_lost: false, pauses: Pauses::default(), pause: Duration::ZERO }
    }

    /// The connection, made anew as often as it takes. None where the worker is told to leave everything and the first attempt
    /// fails.
    pub(super) async fn get(&mut self) -> Option<&mut PgConnection> {
        while self.connection.is_none() {
            if !*self.shared.abandon.borrow() {
                tokio::time::sleep(self.pause).await;
            }
            match self.shared.tools.origin.connect().await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    self.shared.contact.connect(std::mem::take(&mut self.was_lost));
                    if self.pauses.connected() {
                        self.shared.tell(&Event::Reconnected);
                    }
                }
                Err(error) => {
                    self.shared.contact.lose();
                    if *self.shared.abandon.borrow() {
                        return None;
                    }
                    self.pause = self.pauses.failed();
                    self.shared.tell(&Event::NotConnected { error: error.to_string(), again_in: self.pause });
                }
            }
        }
        self.connection.as_mut()
    }

    /// After a failure: whether the connection was lost, and is to be made anew. A call that was refused leaves nothing behind.
    pub(super) fn was_lost_by(&mut self, error: &DatabaseError) -> bool {
        let lost = error.is_lost();
        if lost {
            self.pause = self.pauses.lost();
            self.shared.tell(&Event::Disconnected { error: error.to_string(), again_in: self.pause });
            self.connection = None;
            self.was_lost = true;
            self.shared.contact.lose();
        }
        lost
    }
}
