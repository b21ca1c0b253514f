//! The reconnecting connections of a worker.

use sqlx::postgres::PgConnection;

use crate::event::Event;
use crate::shared::Shared;
use flowsmith_postgres::database::{ConnectionEvent, Observer, ReconnectingConnection};

/// A connection of a worker that reconnects after a loss.
pub(crate) type Connection<'s> = ReconnectingConnection<&'s Shared>;

/// Starts with an open connection, if there is one.
pub(crate) fn connection(shared: &Shared, open: Option<PgConnection>) -> Connection<'_> {
    Connection::new(shared.services.target.clone(), shared, open)
}

impl Observer for &Shared {
    fn on_event(&self, event: ConnectionEvent<'_>) {
        match event {
            ConnectionEvent::Lost(error, retry_in) => {
                self.emit(&Event::Disconnected { error: error.to_string(), retry_in });
                self.health.record_loss();
            }
            ConnectionEvent::NotConnected(error, retry_in) => {
                self.health.record_loss();
                self.emit(&Event::NotConnected { error: error.to_string(), retry_in });
            }
            ConnectionEvent::Connected { replaces_lost, after_failures } => {
                self.health.record_connect(replaces_lost);
                if replaces_lost || after_failures {
                    self.emit(&Event::Reconnected);
                }
            }
        }
    }

    fn is_shutting_down(&self) -> bool {
        self.is_cancelled()
    }
}
