//! The services that a worker provides to its handlers.

use std::fmt;

use crate::engine::Engine;
use crate::event::{Event, EventObserver};
use crate::sql_connections::SqlConnections;
use flowsmith_core::redact::Redactor;
use flowsmith_postgres::database::Target;

/// The services that a worker provides to its handlers.
pub(crate) struct Services {
    pub(crate) target: Target,
    pub(crate) engine: Engine,
    pub(crate) sql_connections: SqlConnections,
    /// What neither events nor errors in the database may contain.
    pub(crate) secrets: Redactor,
    observer: EventObserver,
}

impl Services {
    pub(crate) fn new(target: Target, engine: Engine, secrets: Redactor, observer: EventObserver) -> Self {
        Self { sql_connections: SqlConnections::new(target.clone()), target, engine, secrets, observer }
    }

    /// Reports an event to the observer of the worker, without secrets in the text of programs and servers.
    pub(crate) fn emit(&self, event: &Event) {
        if self.secrets.is_empty() || event.foreign_text().is_none() {
            return (self.observer)(event);
        }
        let mut event = event.clone();
        if let Some(text) = event.foreign_text_mut() {
            *text = self.secrets.redact(text).into_owned();
        }
        (self.observer)(&event);
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("engine", &self.engine).finish_non_exhaustive()
    }
}
