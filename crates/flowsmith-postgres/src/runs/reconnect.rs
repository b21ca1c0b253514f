//! Waiting for a server that does not answer, or to which the connection is lost.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Operator, RunsError};
use crate::database::{DatabaseError, Failure};

/// How long to try to connect again, since the last answer.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(60);
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// The pauses of [`until_answered`] between attempts to connect: the first, and the longest. Each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The time without an answer after which [`until_answered`] reports that, and how often until it gives the connection up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUTS: u32 = 6;

impl RunsError {
    /// Whether the connection is lost, so that another one may help.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_lost())
    }
}

/// Connects again after a lost connection, for at most a minute since the last answer.
#[derive(Debug, Default)]
pub(crate) struct Reconnection {
    deadline: Option<Instant>,
}

impl Reconnection {
    /// Makes a new connection after `error`; `on_loss` is called for the first error since the last answer.
    ///
    /// # Errors
    /// The last error, if no connection succeeds in time.
    pub(crate) async fn reconnect(
        &mut self,
        operator: &mut Operator,
        mut error: RunsError,
        on_loss: impl FnOnce(&RunsError),
    ) -> Result<(), RunsError> {
        if self.deadline.is_none() {
            on_loss(&error);
        }
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + RECONNECT_TIMEOUT);
        while Instant::now() < deadline {
            match operator.reconnect().await {
                Ok(()) => return Ok(()),
                Err(again) => error = again.into(),
            }
            sleep(RECONNECT_PAUSE).await;
        }
        Err(error)
    }

    /// Notes an answer; returns whether the connection was lost before it.
    pub(crate) fn answered(&mut self) -> bool {
        self.deadline.take().is_some()
    }
}

/// Why there is no answer yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoAnswer {
    /// The server has not answered for this long.
    Waiting(Duration),
    /// The connection is lost; the next attempt follows after the pause.
    NotConnected {
        /// The pause.
        pause: Duration,
        /// The error of the last attempt.
        reason: String,
    },
}

/// Repeats a question until the server answers it, however long that takes; connects again after a lost connection, with
/// growing pauses. `observe` is called while there is no answer.
///
/// # Errors
/// Any error of the question that is not a lost connection.
pub async fn until_answered<T>(
    operator: &mut Operator,
    mut ask: impl AsyncFnMut(&mut Operator) -> Result<T, RunsError>,
    mut observe: impl FnMut(NoAnswer),
) -> Result<T, RunsError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match answer(ask(operator), |waited| observe(NoAnswer::Waiting(waited))).await {
            Err(error) if error.is_lost() => error,
            result => return result,
        };
        let mut reason = error.to_string();
        // A new connection is made before the question is repeated: one that does not answer would be waited for again.
        loop {
            observe(NoAnswer::NotConnected { pause, reason });
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match operator.reconnect().await {
                Ok(()) => break,
                Err(again) => reason = again.to_string(),
            }
        }
    }
}

/// Waits for an answer and calls `observe` every few seconds. After half a minute the connection counts as lost.
async fn answer<T>(
    question: impl Future<Output = Result<T, RunsError>>,
    mut observe: impl FnMut(Duration),
) -> Result<T, RunsError> {
    let mut question = pin!(question);
    for timeouts in 1..=ANSWER_TIMEOUTS {
        match timeout(ANSWER_TIMEOUT, &mut question).await {
            Ok(answer) => return answer,
            Err(_) => observe(ANSWER_TIMEOUT * timeouts),
        }
    }
    let message = format!("the server did not answer for {}s", (ANSWER_TIMEOUT * ANSWER_TIMEOUTS).as_secs());
    Err(DatabaseError::new(Failure::Lost, message).into())
}
