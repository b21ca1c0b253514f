//! Follows a run until it ends.

use flowsmith_core::diagnostic::Code;
use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use flowsmith::report::operate::{ended_json, event_json, event_text, last_worker};
use flowsmith_core::catalog::State;
use flowsmith_postgres::live::RunStatus;
use flowsmith_postgres::runs::{
    DetailLevel, Flows, RunDetail, RunSummary, RunWatcher, RunsError, events_between, read_queue_workers, read_run,
    start_worker_advice,
};
use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep, timeout_at};

use super::operator::{Operator, is_lost};
use crate::cli::args::StatusFormat;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

/// The longest time to try to reconnect.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// The run to follow, and the output of its events.
pub(crate) struct Follow<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) timeout: Option<Duration>,
    /// The previous state of the run; events since then are reported.
    pub(crate) before: Option<RunDetail>,
    pub(crate) tells: Tells,
}

/// The output of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    /// Events are the report.
    Events(StatusFormat),
    /// Events are messages on stderr. In JSON, the report is the final state of the run.
    End(StatusFormat),
}

/// Reports the events of a run until it ends.
pub(crate) async fn follow(operator: &mut Operator, follow: &Follow<'_>, output: &Output) -> Result<Exit, Failure> {
    let result = interruptible(within(follow, to_the_end(operator, follow, output))).await;
    if result.is_none() {
        output.message(&format!(
            "\nRun {0} continues: `flowsmith watch {0}` follows it, `flowsmith cancel {0}` cancels it",
            follow.run_id
        ));
    }
    if follow.tells == Tells::End(StatusFormat::Json) {
        let reported = report_end(operator, follow, output).await;
        // The first failure is more informative.
        return result.unwrap_or(Ok(Exit::Interrupted)).and_then(|exit| reported.map(|()| exit));
    }
    result.unwrap_or(Ok(Exit::Interrupted))
}

/// The output of a future; none if Ctrl-C comes first.
async fn interruptible<T>(future: impl Future<Output = T>) -> Option<T> {
    let interrupt = async {
        // If the handler cannot be installed, Ctrl-C ends the program as by default.
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    };
    match select(pin!(future), pin!(interrupt)).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}

async fn within(follow: &Follow<'_>, end: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let Some(timeout) = follow.timeout else { return end.await };
    timeout_at(Instant::now() + timeout, end).await.unwrap_or_else(|_| {
        Err(Failure::new(
            Exit::Failed,
            Code::NotFinishedInTime,
            format!("run {} did not end within {timeout:?} and continues", follow.run_id),
            format!(
                "run `flowsmith watch {0}` to follow it, `flowsmith stalled` to find stalled tasks, or `flowsmith cancel {0}` \
                 to cancel it",
                follow.run_id
            ),
        ))
    })
}

async fn report_end(operator: &mut Operator, follow: &Follow<'_>, output: &Output) -> Result<(), Failure> {
    // The connection may have been left in the middle of a query.
    operator.reconnect().await?;
    let flows = operator.flows_if_allowed().await?;
    let run = read_run(&mut operator.connection, operator.engine, &flows, follow.run_id, DetailLevel::Full).await?;
    output.report(&ended_json(&run, &operator.subject));
    Ok(())
}

async fn to_the_end(operator: &mut Operator, follow: &Follow<'_>, output: &Output) -> Result<Exit, Failure> {
    // The deadline for reconnecting since the last successful read.
    let mut hope = None;
    let (flows, mut watcher) = loop {
        match begin(operator, follow, output).await {
            Err(error) if is_lost(&error) => reconnect(operator, error, &mut hope, output).await?,
            begun => break begun?,
        }
    };
    let mut before = follow.before.clone();
    loop {
        let read =
            read_run(&mut operator.connection, operator.engine, &flows, follow.run_id, DetailLevel::Status).await;
        let run = match read {
            Err(error) if is_lost(&error) => {
                reconnect(operator, error, &mut hope, output).await?;
                continue;
            }
            run => run?,
        };
        if hope.take().is_some() {
            output.message("note: reconnected");
        }
        for event in events_between(before.as_ref(), &run) {
            match follow.tells {
                Tells::Events(StatusFormat::Text) => output.report(&event_text(&run, &event, output.layout())),
                Tells::Events(StatusFormat::Json) => output.report(&event_json(&run, &event)),
                Tells::End(_) => output.message(event_text(&run, &event, output.layout()).trim_end()),
            }
        }
        match run.status {
            RunStatus::Started => watcher.changed().await,
            RunStatus::Completed => return Ok(Exit::Done),
            RunStatus::Failed | RunStatus::Cancelled => return Err(failed(&run)),
        }
        before = Some(run);
    }
}

/// Starts listening before the first read, so that no event is missed in between.
async fn begin(
    operator: &mut Operator,
    follow: &Follow<'_>,
    output: &Output,
) -> Result<(Flows, RunWatcher), RunsError> {
    let flows = operator.flows_if_allowed().await?;
    let (watcher, why) = RunWatcher::open(&operator.place.target, &mut operator.connection, follow.run_id).await?;
    if let Some(why) = why {
        output.message(&format!("note: polling twice a second, because {why}"));
    }
    Ok((flows, watcher))
}

/// Reconnects after this error until the deadline.
pub(crate) async fn reconnect(
    operator: &mut Operator,
    mut error: RunsError,
    hope: &mut Option<Instant>,
    output: &Output,
) -> Result<(), RunsError> {
    if hope.is_none() {
        output.message(&format!("note: {error}; retrying for a minute"));
    }
    let deadline = *hope.get_or_insert_with(|| Instant::now() + PATIENCE);
    while Instant::now() < deadline {
        match operator.reconnect().await {
            Ok(()) => return Ok(()),
            Err(again) => error = again.into(),
        }
        sleep(PAUSE).await;
    }
    Err(error)
}

fn failed(run: &RunDetail) -> Failure {
    let reason = run.failure_reason().map(|reason| format!(": {reason}")).unwrap_or_default();
    let how = if run.status == RunStatus::Cancelled { "was cancelled" } else { "has failed" };
    let first = if run.status == RunStatus::Cancelled { "" } else { ", fix the cause" };
    Failure::new(
        Exit::Failed,
        Code::RunFailed,
        format!("run {} of {}@{} {how}{reason}", run.run_id, run.flow, run.version),
        format!("run `flowsmith show {0}` for details{first}, and run `flowsmith retry {0}` to resume it", run.run_id),
    )
}

/// Notes that no worker serves the flow of a run.
pub(crate) async fn note_no_worker(operator: &mut Operator, run: &RunSummary, state: State, output: &Output) {
    if run.status.is_terminal() {
        return;
    }
    let queues = Some(vec![run.slug.clone()]);
    // A role that starts runs may lack the privilege to read workers; the note is then omitted.
    let Ok(serving) = read_queue_workers(&mut operator.connection, operator.engine, queues).await else { return };
    if serving.workers > 0 {
        return;
    }
    output.message(&format!(
        "note: no worker of {}@{} is running: {}; {}",
        run.flow,
        run.version,
        last_worker(serving.last_worker, serving.heartbeat_seconds),
        start_worker_advice(&run.flow, run.version, &run.slug, state)
    ));
}
