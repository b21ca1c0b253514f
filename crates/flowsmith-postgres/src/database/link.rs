//! A connection that reconnects after a loss, for workers that outlive outages of the database.

use std::time::Duration;

use sqlx::postgres::PgConnection;

use super::{DatabaseError, Pauses, Target};

/// A change of the state of a connection.
#[derive(Debug, Clone, Copy)]
pub enum LinkEvent<'e> {
    /// The connection was lost; the next attempt follows after this pause.
    Lost(&'e DatabaseError, Duration),
    /// An attempt to connect failed; the next attempt follows after this pause.
    NotConnected(&'e DatabaseError, Duration),
    /// A connection was established.
    Connected {
        /// Whether it replaces a lost connection.
        again: bool,
        /// Whether earlier attempts failed.
        after_failures: bool,
    },
}

/// The user of the connection.
pub trait Owner {
    /// Called for every change.
    fn hear(&self, event: LinkEvent<'_>);

    /// Whether the user is shutting down: then there is no pause, and the first failed attempt is the last.
    fn is_leaving(&self) -> bool {
        false
    }
}

/// A connection that reconnects after a loss.
pub struct Link<O> {
    target: Target,
    owner: O,
    connection: Option<PgConnection>,
    /// Whether the next connection replaces a lost one.
    was_lost: bool,
    pauses: Pauses,
    /// The time to wait before the next attempt.
    pause: Duration,
}

impl<O: Owner> Link<O> {
    /// Starts with an open connection, if the caller has one.
    pub fn new(target: Target, owner: O, connection: Option<PgConnection>) -> Self {
        Self { target, owner, connection, was_lost: false, pauses: Pauses::default(), pause: Duration::ZERO }
    }

    /// The connection, after as many attempts as it takes. None if the user is shutting down and the first attempt fails.
    pub async fn get(&mut self) -> Option<&mut PgConnection> {
        while self.connection.is_none() {
            if !self.owner.is_leaving() {
                tokio::time::sleep(self.pause).await;
            }
            match self.target.connect().await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    let again = std::mem::take(&mut self.was_lost);
                    let after_failures = self.pauses.connected();
                    self.owner.hear(LinkEvent::Connected { again, after_failures });
                }
                Err(error) => {
                    if self.owner.is_leaving() {
                        return None;
                    }
                    self.pause = self.pauses.failed();
                    self.owner.hear(LinkEvent::NotConnected(&error, self.pause));
                }
            }
        }
        self.connection.as_mut()
    }

    /// Drops the connection if this error means that it was lost, and returns whether it was. A call that the server rejected
    /// leaves the connection usable.
    pub fn was_lost_by(&mut self, error: &DatabaseError) -> bool {
        let lost = error.is_lost();
        if lost {
            self.pause = self.pauses.lost();
            self.connection = None;
            self.was_lost = true;
            self.owner.hear(LinkEvent::Lost(error, self.pause));
        }
        lost
    }
}
