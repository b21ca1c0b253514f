//! Following a run to its end.

use std::time::Duration;

use tokio::time::timeout;

use super::reconnect::Reconnection;
use super::{
    DetailLevel, Flows, Operator, PollingReason, RunDetail, RunEvent, RunStatus, RunWatcher, RunsError, events_between,
    read_run,
};
use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};

/// An observation while a run is followed.
#[derive(Debug)]
#[non_exhaustive]
pub enum FollowEvent<'a> {
    /// The database sends no events, so the run is read twice a second.
    Polling(&'a PollingReason),
    /// The connection is lost; it is tried again for a minute.
    ConnectionLost(&'a RunsError),
    /// The connection works again.
    Reconnected,
    /// The run or a step has changed.
    Changed {
        /// The run after the change.
        run: &'a RunDetail,
        /// The change.
        event: &'a RunEvent,
    },
}

/// Why following a run ended before its completion.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The database could not be read.
    #[error(transparent)]
    Operate(#[from] RunsError),
    /// The run has failed or was cancelled.
    #[error("run {} of {}@{} {}", .0.run_id, .0.flow, .0.version, failure(.0))]
    RunFailed(Box<RunDetail>),
    /// The run has not ended in time. It continues.
    #[error("run {run_id} did not end within {timeout:?} and continues")]
    Timeout {
        /// The run.
        run_id: String,
        /// The time that it was followed for.
        timeout: Duration,
    },
}

fn failure(run: &RunDetail) -> String {
    let reason = run.failure_reason().map(|reason| format!(": {reason}")).unwrap_or_default();
    let how = if run.status == RunStatus::Cancelled { "was cancelled" } else { "has failed" };
    format!("{how}{reason}")
}

impl Diagnostic for FollowError {
    fn code(&self) -> Code {
        match self {
            Self::Operate(error) => error.code(),
            Self::RunFailed(_) => Code::RunFailed,
            Self::Timeout { .. } => Code::NotFinishedInTime,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Operate(error) => error.kind(),
            Self::RunFailed(_) | Self::Timeout { .. } => Kind::Failed,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Operate(error) => error.help(),
            Self::RunFailed(run) => {
                let first = if run.status == RunStatus::Cancelled { "" } else { ", fix the cause" };
                Some(format!(
                    "run `flowsmith show {0}` for details{first}, and run `flowsmith retry {0}` to resume it",
                    run.run_id
                ))
            }
            Self::Timeout { run_id, .. } => Some(format!(
                "run `flowsmith watch {run_id}` to follow it, `flowsmith stalled` to find stalled tasks, or \
                 `flowsmith cancel {run_id}` to cancel it"
            )),
        }
    }
}

/// Follows a run until it has completed, and reports each change since `before`, or since its start. Dropping the future stops
/// it at any point; the run continues.
///
/// # Errors
/// If the run fails or is cancelled, does not end within `timeout`, or the database cannot be reached for a minute.
pub async fn follow(
    operator: &mut Operator,
    run_id: &str,
    before: Option<RunDetail>,
    timeout_after: Option<Duration>,
    observe: impl FnMut(FollowEvent<'_>),
) -> Result<RunDetail, FollowError> {
    let end = to_the_end(operator, run_id, before, observe);
    let Some(limit) = timeout_after else { return end.await };
    let late = || FollowError::Timeout { run_id: run_id.to_owned(), timeout: limit };
    timeout(limit, end).await.unwrap_or_else(|_| Err(late()))
}

async fn to_the_end(
    operator: &mut Operator,
    run_id: &str,
    mut before: Option<RunDetail>,
    mut observe: impl FnMut(FollowEvent<'_>),
) -> Result<RunDetail, FollowError> {
    let mut reconnection = Reconnection::default();
    let (flows, mut watcher) = loop {
        match begin(operator, run_id, &mut observe).await {
            Err(error) if error.is_lost() => {
                reconnection.reconnect(operator, error, |error| observe(FollowEvent::ConnectionLost(error))).await?;
            }
            begun => break begun?,
        }
    };
    loop {
        let read =
            read_run(&mut operator.session.connection, operator.engine, &flows, run_id, DetailLevel::Status).await;
        let run = match read {
            Err(error) if error.is_lost() => {
                reconnection.reconnect(operator, error, |error| observe(FollowEvent::ConnectionLost(error))).await?;
                continue;
            }
            run => run?,
        };
        if reconnection.answered() {
            observe(FollowEvent::Reconnected);
        }
        for event in events_between(before.as_ref(), &run) {
            observe(FollowEvent::Changed { run: &run, event: &event });
        }
        match run.status {
            RunStatus::Started => watcher.changed().await,
            RunStatus::Completed => return Ok(run),
            RunStatus::Failed | RunStatus::Cancelled => return Err(FollowError::RunFailed(Box::new(run))),
        }
        before = Some(run);
    }
}

/// Listens before the run is read for the first time, so that no event is missed in between.
async fn begin(
    operator: &mut Operator,
    run_id: &str,
    observe: &mut impl FnMut(FollowEvent<'_>),
) -> Result<(Flows, RunWatcher), RunsError> {
    let flows = operator.flows_if_allowed().await?;
    let target = operator.session.target.clone();
    let (watcher, why) = RunWatcher::open(&target, &mut operator.session.connection, run_id).await?;
    if let Some(why) = why {
        observe(FollowEvent::Polling(&why));
    }
    Ok((flows, watcher))
}
