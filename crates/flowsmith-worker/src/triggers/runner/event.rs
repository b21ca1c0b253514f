//! The events of the triggers runner.

use std::fmt;
use std::time::Duration;

use crate::triggers::queues::{FailedEvent, UnregisteredConsumer};
use crate::triggers::schedules::{FailedScheduledRun, ScheduledRun};
use flowsmith_core::words::counted;

/// An event of the triggers runner. `Display` returns a line for a log.
#[derive(Debug)]
#[non_exhaustive]
pub enum TriggerEvent {
    /// The triggers were read, at the start or after a change.
    Watching {
        /// The queues that start runs, as `kind:name`.
        queues: Vec<String>,
    },
    /// A schedule started a run.
    ScheduledRunStarted(ScheduledRun),
    /// A schedule was due, but no run could be started.
    ScheduledRunFailed(FailedScheduledRun),
    /// Events of a queue started runs.
    EventsConsumed {
        /// The trigger, as `flow:name`.
        trigger: String,
        /// The number of runs.
        started: usize,
    },
    /// Events of a queue had already been handled; they start no run.
    EventsAlreadyHandled {
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
    ConsumerUnregistered(UnregisteredConsumer),
    /// The database rejected a call, which is retried.
    Rejected {
        /// The failed operation.
        operation: String,
        /// The error.
        error: String,
    },
    /// The connection was lost; the runner reconnects.
    Disconnected {
        /// The error.
        error: String,
        /// The pause before the next attempt.
        retry_in: Duration,
    },
    /// An attempt to connect failed; the runner retries.
    NotConnected {
        /// The error.
        error: String,
        /// The pause before the next attempt.
        retry_in: Duration,
    },
    /// The connection was restored.
    Reconnected,
}

impl fmt::Display for TriggerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watching { queues } if queues.is_empty() => write!(f, "watching schedules; no queue starts runs"),
            Self::Watching { queues } => write!(f, "watching schedules, consuming from {}", queues.join(", ")),
            Self::ScheduledRunStarted(ScheduledRun { flow, trigger, scheduled_for, run_id }) => {
                write!(f, "{flow}:{trigger}: run {run_id} started, scheduled for {}", scheduled_for.to_rfc3339())
            }
            Self::ScheduledRunFailed(FailedScheduledRun { flow, trigger, error }) => {
                write!(f, "{flow}:{trigger}: cannot start a run: {error}")
            }
            Self::EventsConsumed { trigger, started } => write!(f, "{trigger}: {} started", counted(*started, "run")),
            Self::EventsAlreadyHandled { trigger, events } => {
                write!(f, "{trigger}: {} already handled, no run started", counted(*events, "event"))
            }
            Self::EventFailed { trigger, event } => {
                write!(f, "{trigger}: event {} started no run: {}; ", event.id, event.error)?;
                match event.retry_after {
                    Some(pause) => write!(f, "retrying in {} s", pause.as_secs()),
                    None => write!(f, "giving up"),
                }
            }
            Self::ConsumerUnregistered(UnregisteredConsumer { consumer, queue, unconsumed }) => {
                write!(
                    f,
                    "consumer {consumer} was unregistered from PgQ queue {queue}, because its trigger no longer exists: "
                )?;
                match unconsumed {
                    0 => write!(f, "it had consumed every event"),
                    1 => write!(f, "1 unconsumed event starts no run"),
                    _ => write!(f, "about {unconsumed} unconsumed events start no run"),
                }
            }
            Self::Rejected { operation, error } => write!(f, "{operation}: {error}"),
            Self::Disconnected { error, retry_in } if retry_in.is_zero() => {
                write!(f, "connection lost: {error}; reconnecting")
            }
            Self::Disconnected { error, retry_in } => {
                write!(f, "connection lost: {error}; reconnecting in {:.1} s", retry_in.as_secs_f32())
            }
            Self::NotConnected { error, retry_in } => {
                write!(f, "{error}; retrying in {:.1} s", retry_in.as_secs_f32())
            }
            Self::Reconnected => write!(f, "reconnected"),
        }
    }
}
