//! A worker's connections that come back: what it is told of them, and when it wants them no more.

use sqlx::postgres::PgConnection;

use super::event::Event;
use super::shared::Shared;
use flowsmith_postgres::database::{self, LinkEvent, Owner};

/// A worker's connection that comes back after it was lost.
pub(super) type Link<'s> = database::Link<&'s Shared>;

impl Shared {
    /// With the connection that there is already, if there is one.
    pub(super) fn link(&self, connection: Option<PgConnection>) -> Link<'_> {
        Link::new(self.tools.target.clone(), self, connection)
    }
}

impl Owner for &Shared {
    fn hear(&self, event: LinkEvent<'_>) {
        match event {
            LinkEvent::Lost(error, again_in) => {
                self.tell(&Event::Disconnected { error: error.to_string(), again_in });
                self.contact.lose();
            }
            LinkEvent::NotConnected(error, again_in) => {
                self.contact.lose();
                self.tell(&Event::NotConnected { error: error.to_string(), again_in });
            }
            LinkEvent::Connected { again, after_failures } => {
                self.contact.connect(again);
                if again || after_failures {
                    self.tell(&Event::Reconnected);
                }
            }
        }
    }

    fn is_leaving(&self) -> bool {
        *self.abandon.borrow()
    }
}
