//! The outcome of an attempt at a task.

use std::fmt;
use std::time::Duration;

/// The error of a handler. Any [`std::error::Error`] converts into a retryable one with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerError {
    pub(crate) message: String,
    pub(crate) is_permanent: bool,
}

impl HandlerError {
    /// An error after which the task is retried while its step has attempts left.
    pub fn retry(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: false }
    }

    /// An error that fails the task at once, because another attempt would fail as well.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: true }
    }

    /// The error of a handler that exceeded the timeout of its step.
    pub(crate) fn timed_out(timeout: Duration) -> Self {
        Self::retry(format!("timed out after {} s", timeout.as_secs()))
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// As in `anyhow`, this type does not implement `Error` itself, so that every type that does converts into it.
impl<E: std::error::Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::retry(error_chain(&error))
    }
}

/// The message of an error with those of its sources.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        message.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    message
}

/// The outcome of an attempt.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The handler returned this output, as JSON.
    Output(String),
    /// The handler completed the task in the database itself.
    Completed,
    /// The handler found that the task no longer belongs to this worker.
    LeaseLost,
    /// The handler failed.
    Failed(HandlerError),
    /// The connection was lost, for this reason, so the transaction of the handler may have been committed or not. If the task
    /// still belongs to this worker, nothing was committed and the attempt failed.
    ConnectionLost(String),
    /// The handler could not start without a connection: the task returns to the queue, and the attempt does not count.
    NotStarted(Unavailable),
}

/// No connection to the database is available.
#[derive(Debug)]
pub(crate) struct Unavailable {
    /// The error of the attempt to connect; none if there was no attempt, because an earlier one had just failed.
    pub(crate) error: Option<String>,
    /// The pause before the next attempt to connect.
    pub(crate) pause: Duration,
}
