//! The observer of the runner's connection.

use std::sync::Arc;

use super::event::TriggerEvent;
use flowsmith_postgres::database::{self, ConnectionEvent};

/// Reports changes of the connection as events of the runner.
pub(super) struct Observer<O>(pub(super) Arc<O>);

impl<O: Fn(&TriggerEvent)> database::Observer for Observer<O> {
    fn on_event(&self, event: ConnectionEvent<'_>) {
        (self.0)(&match event {
            ConnectionEvent::Lost(error, retry_in) => TriggerEvent::Disconnected { error: error.to_string(), retry_in },
            ConnectionEvent::NotConnected(error, retry_in) => {
                TriggerEvent::NotConnected { error: error.to_string(), retry_in }
            }
            ConnectionEvent::Connected { .. } => TriggerEvent::Reconnected,
        });
    }
}
