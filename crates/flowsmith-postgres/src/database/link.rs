//! A connection that comes back after it was lost, for whoever goes on until the database is there again.

use std::time::Duration;

use sqlx::postgres::PgConnection;

use super::{DatabaseError, Pauses, Target};

/// What becomes of a link.
#[derive(Debug, Clone, Copy)]
pub enum LinkEvent<'e> {
    /// The connection was lost; another one is made after this pause.
    Lost(&'e DatabaseError, Duration),
    /// An attempt to connect has failed; the next one comes after this pause.
    NotConnected(&'e DatabaseError, Duration),
    /// There is a connection.
    Connected {
        /// Whether it comes in place of one that was lost.
        again: bool,
        /// Whether attempts had failed before.
        after_failures: bool,
    },
}

/// Who wants the connection.
pub trait Owner {
    /// Is told what becomes of it.
    fn hear(&self, event: LinkEvent<'_>);

    /// Whether an attempt that fails is to be the last, and no pause comes before it.
    fn is_leaving(&self) -> bool {
        false
    }
}

/// A connection that comes back after it was lost.
pub struct Link<O> {
    target: Target,
    owner: O,
    connection: Option<PgConnection>,
    /// Whether the next connection comes in place of one that was lost.
    was_lost: bool,
    pauses: Pauses,
    /// How long to wait before it is made anew.
    pause: Duration,
}

impl<O: Owner> Link<O> {
    /// With the connection that there is already, if there is one.
    pub fn new(target: Target, owner: O, connection: Option<PgConnection>) -> Self {
        Self { target, owner, connection, was_lost: false, pauses: Pauses::default(), pause: Duration::ZERO }
    }

    /// The connection, made anew as often as it takes. None where the owner is leaving and the first attempt fails.
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

    /// After a failure: whether the connection was lost, and is to be made anew. A call that was refused leaves nothing behind.
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
