//! Events of the triggers runner.

use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

use crate::triggers::queues::{Departure, FailedEvent};
use crate::triggers::schedules::{FailedFiring, Firing};
use flowsmith_core::words::counted;

/// An event of the triggers runner. `Display` returns a line for a log.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The triggers were read, at the start or after a change.
    Watching {
        /// The queues that start runs, as `kind:name`.
        queues: Vec<String>,
    },
    /// A schedule started a run.
    Fired(Firing),
    /// A schedule was due, but no run could be started.
    FiringFailed(FailedFiring),
    /// Events of a queue started runs.
    Took {
        /// The trigger, as `flow:name`.
        trigger: String,
        /// The number of runs.
        started: usize,
    },
    /// Events of a queue had already started their runs or been given up; they start no run.
    Known {
        /// The trigger, as `flow:name`.
        trigger: String,
        /// The number of events.
        events: usize,
    },
    /// An event of a queue started no run.
    EventFailed {
        /// The trigger, as `flow:name`.
        trigger: String,
        /// The event.
        event: FailedEvent,
    },
    /// A consumer was unregistered from a PgQ queue, because its trigger no longer exists.
    Left(Departure),
    /// The database rejected a call, which is retried.
    Refused {
        /// The failed operation.
        what: String,
        /// The error.
        error: String,
    },
    /// The connection was lost; the runner reconnects.
    Disconnected {
        /// The error.
        error: String,
        /// The pause before the next attempt.
        again_in: Duration,
    },
    /// An attempt to connect failed; the runner retries.
    NotConnected {
        /// The error.
        error: String,
        /// The pause before the next attempt.
        again_in: Duration,
    },
    /// The connection was restored.
    Reconnected,
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Watching { queues } if queues.is_empty() => write!(f, "watching schedules; no queue starts runs"),
            Self::Watching { queues } => write!(f, "watching schedules, consuming from {}", queues.join(", ")),
            Self::Fired(Firing { flow, trigger, planned_at, run_id }) => {
                write!(f, "{flow}:{trigger}: run {run_id} started, scheduled for {}", planned_at.to_rfc3339())
            }
            Self::FiringFailed(FailedFiring { flow, trigger, error }) => {
                write!(f, "{flow}:{trigger}: cannot start a run: {error}")
            }
            Self::Took { trigger, started } => {
                write!(f, "{trigger}: {} started", counted(*started, "run"))
            }
            Self::Known { trigger, events } => {
                write!(f, "{trigger}: {} already handled, no run started", counted(*events, "event"))
            }
            Self::EventFailed { trigger, event } => {
                write!(f, "{trigger}: event {} started no run: {}; ", event.id, event.error)?;
                match event.retry_after {
                    Some(pause) => write!(f, "retrying in {} s", pause.as_secs()),
                    None => write!(f, "giving up"),
                }
            }
            Self::Left(Departure { consumer, queue, unread }) => {
                write!(
                    f,
                    "consumer {consumer} was unregistered from PgQ queue {queue}, because its trigger no longer exists: "
                )?;
                match unread {
                    0 => write!(f, "it had consumed every event"),
                    1 => write!(f, "1 unconsumed event starts no run"),
                    _ => write!(f, "about {unread} unconsumed events start no run"),
                }
            }
            Self::Refused { what, error } => write!(f, "{what}: {error}"),
            Self::Disconnected { error, again_in } if again_in.is_zero() => {
                write!(f, "connection lost: {error}; reconnecting")
            }
            Self::Disconnected { error, again_in } => {
                write!(f, "connection lost: {error}; reconnecting in {:.1} s", again_in.as_secs_f32())
            }
            Self::NotConnected { error, again_in } => {
                write!(f, "{error}; retrying in {:.1} s", again_in.as_secs_f32())
            }
            Self::Reconnected => write!(f, "reconnected"),
        }
    }
}
