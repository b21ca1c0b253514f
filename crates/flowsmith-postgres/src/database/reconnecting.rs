//! A connection that reconnects after a loss, for processes that outlive outages of the database.

use std::time::Duration;

use sqlx::postgres::PgConnection;

use super::{Backoff, DatabaseError, Target};

/// A change of the state of a [`ReconnectingConnection`].
#[derive(Debug, Clone, Copy)]
pub enum ConnectionEvent<'e> {
    /// The connection was lost; the next attempt follows after this pause.
    Lost(&'e DatabaseError, Duration),
    /// An attempt to connect failed; the next attempt follows after this pause.
    NotConnected(&'e DatabaseError, Duration),
    /// A connection was established.
    Connected {
        /// Whether it replaces a lost connection.
        replaces_lost: bool,
        /// Whether earlier attempts failed.
        after_failures: bool,
    },
}

/// The user of a [`ReconnectingConnection`].
pub trait Observer {
    /// Called for every change of the connection's state.
    fn on_event(&self, event: ConnectionEvent<'_>);

    /// Whether the user is shutting down: then there is no pause, and the first failed attempt is the last.
    fn is_shutting_down(&self) -> bool {
        false
    }
}

/// A connection that reconnects after a loss.
pub struct ReconnectingConnection<O> {
    target: Target,
    observer: O,
    connection: Option<PgConnection>,
    /// Whether the next connection replaces a lost one.
    was_lost: bool,
    backoff: Backoff,
    /// The time to wait before the next attempt.
    pause: Duration,
}

impl<O: Observer> ReconnectingConnection<O> {
    /// Starts with an open connection, if the caller has one.
    pub fn new(target: Target, observer: O, connection: Option<PgConnection>) -> Self {
        Self { target, observer, connection, was_lost: false, backoff: Backoff::default(), pause: Duration::ZERO }
    }

    /// The connection, after as many attempts as it takes. None if the observer is shutting down and an attempt fails.
    pub async fn get(&mut self) -> Option<&mut PgConnection> {
        while self.connection.is_none() {
            if !self.observer.is_shutting_down() {
                tokio::time::sleep(self.pause).await;
            }
            match self.target.connect().await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    let replaces_lost = std::mem::take(&mut self.was_lost);
                    let after_failures = self.backoff.connected();
                    self.observer.on_event(ConnectionEvent::Connected { replaces_lost, after_failures });
                }
                Err(error) => {
                    if self.observer.is_shutting_down() {
                        return None;
                    }
                    self.pause = self.backoff.failed();
                    self.observer.on_event(ConnectionEvent::NotConnected(&error, self.pause));
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
            self.pause = self.backoff.lost();
            self.connection = None;
            self.was_lost = true;
            self.observer.on_event(ConnectionEvent::Lost(error, self.pause));
        }
        lost
    }
}
