//! The services that a worker provides to its handlers.

use std::fmt;

use crate::engine::Engine;
use crate::event::{Event, EventObserver};
use crate::sql_connections::SqlConnections;
use flowsmith_postgres::database::Target;

/// The services that a worker provides to its handlers.
pub(crate) struct Services {
    pub(crate) target: Target,
    pub(crate) engine: Engine,
    pub(crate) sql_connections: SqlConnections,
    observer: EventObserver,
}

impl Services {
    pub(crate) fn new(target: Target, engine: Engine, observer: EventObserver) -> Self {
        Self { sql_connections: SqlConnections::new(target.clone()), target, engine, observer }
    }

    /// Reports an event to the observer of the worker.
    pub(crate) fn emit(&self, event: &Event) {
        (self.observer)(event);
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("engine", &self.engine).finish_non_exhaustive()
    }
}
