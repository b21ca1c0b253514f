//! The events of a service.

use std::fmt;
use std::time::Duration;

use crate::error::WorkerError;
use crate::event::Event;
use crate::triggers::TriggerEvent;
use flowsmith_core::catalog::FlowId;

/// An event of a [`Service`](super::Service). `Display` returns a line for a log.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ServiceEvent<'e> {
    /// An event of the worker.
    Worker(&'e Event),
    /// An event of the triggers runner.
    Trigger(&'e TriggerEvent),
    /// A flow is left to other workers, because it declares no handler.
    FlowSkipped(&'e FlowId),
    /// The flow files differ from the database, and the difference was accepted.
    DriftAccepted(&'e str),
    /// The server is unavailable; the service retries.
    ServerUnavailable {
        /// The error.
        error: &'e WorkerError,
        /// The pause before the next attempt.
        retry_in: Duration,
        /// The time until the service gives up.
        gives_up_in: Duration,
    },
}

impl fmt::Display for ServiceEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(event) => event.fmt(f),
            Self::Trigger(event) => event.fmt(f),
            Self::FlowSkipped(flow) => write!(f, "{flow}: left to other workers, because it declares no handler"),
            Self::DriftAccepted(difference) => write!(f, "accepted: {difference}"),
            Self::ServerUnavailable { error, retry_in, gives_up_in } => {
                let (retry, give_up) = (retry_in.as_secs_f32(), gives_up_in.as_secs_f32());
                write!(f, "{error}; retrying in {retry:.1} s, giving up in {give_up:.0} s")
            }
        }
    }
}
