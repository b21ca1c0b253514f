//! What a starter tells of itself.

use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

use crate::triggers::queues::{Departure, FailedEvent};
use crate::triggers::schedules::{FailedFiring, Firing};
use flowsmith_core::words::counted;

/// Something that happened to a starter.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The triggers that it sees to have been read: at the start, and where they are others than before.
    Watching {
        /// Queues that start runs, as `kind:name`.
        queues: Vec<String>,
    },
    /// A schedule started a run.
    Fired(Firing),
    /// A schedule was due and no run could be started.
    FiringFailed(FailedFiring),
    /// Events of a queue started runs.
    Took {
        /// The trigger, as `flow:name`.
        trigger: String,
        /// How many runs.
        started: usize,
    },
    /// Events of a queue were there before: they had started their runs, or been given up, and start none.
    Known {
        /// The trigger, as `flow:name`.
        trigger: String,
        /// How many events.
        events: usize,
    },
    /// An event of a queue started no run.
    EventFailed {
        /// The trigger, as `flow:name`.
        trigger: String,
        /// The event.
        event: FailedEvent,
    },
    /// A consumer left a queue of PgQ, as its trigger is no more.
    Left(Departure),
    /// Something was refused that is tried again.
    Refused {
        /// What was to be done.
        what: String,
        /// Why not.
        error: String,
    },
    /// The connection was lost; it connects again.
    Disconnected {
        /// Why.
        error: String,
        /// After what pause.
        again_in: Duration,
    },
    /// An attempt to connect has failed; it tries again.
    NotConnected {
        /// Why.
        error: String,
        /// The pause before the next attempt.
        again_in: Duration,
    },
    /// The connection is back.
    Reconnected,
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Watching { queues } if queues.is_empty() => write!(f, "runs schedules; no queue starts runs"),
            Self::Watching { queues } => write!(f, "runs schedules, takes from {}", queues.join(", ")),
            Self::Fired(Firing { flow, trigger, planned_at, run_id }) => {
                write!(f, "{flow}:{trigger}: run {run_id} started, planned for {}", planned_at.to_rfc3339())
            }
            Self::FiringFailed(FailedFiring { flow, trigger, error }) => {
                write!(f, "{flow}:{trigger}: no run started: {error}")
            }
            Self::Took { trigger, started } => {
                write!(f, "{trigger}: {} started", counted(*started, "run"))
            }
            Self::Known { trigger, events } => {
                write!(f, "{trigger}: {} handled before, so nothing is started", counted(*events, "event"))
            }
            Self::EventFailed { trigger, event } => {
                write!(f, "{trigger}: event {} started no run: {}; ", event.id, event.error)?;
                match event.retry_after {
                    Some(pause) => write!(f, "it comes again in {} s", pause.as_secs()),
                    None => write!(f, "it is given up"),
                }
            }
            Self::Left(Departure { consumer, queue, unread }) => {
                write!(f, "{consumer} has left the queue {queue} of PgQ, as its trigger is gone: ")?;
                match unread {
                    0 => write!(f, "it had taken every event"),
                    1 => write!(f, "1 event that it had not taken starts no run"),
                    _ => write!(f, "about {unread} events that it had not taken start no run"),
                }
            }
            Self::Refused { what, error } => write!(f, "{what}: {error}"),
            Self::Disconnected { error, again_in } if again_in.is_zero() => {
                write!(f, "connection lost: {error}; connects again")
            }
            Self::Disconnected { error, again_in } => {
                write!(f, "connection lost: {error}; connects again in {:.1} s", again_in.as_secs_f32())
            }
            Self::NotConnected { error, again_in } => {
                write!(f, "{error}; tries again in {:.1} s", again_in.as_secs_f32())
            }
            Self::Reconnected => write!(f, "connected again"),
        }
    }
}
