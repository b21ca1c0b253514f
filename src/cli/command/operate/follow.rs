//! Following a run to its end.

use flowsmith_core::diagnostic::Code;
use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use flowsmith::report::operate::{ended_json, event_json, event_text, last_worker};
use flowsmith_core::catalog::State;
use flowsmith_postgres::runs::RunStatus;
use flowsmith_postgres::runs::{
    Depth, Flows, OperateError, RunDetail, RunSummary, Wakeups, events_between, read_crew, read_run, start_worker,
};
use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep, timeout_at};

use super::operator::{Operator, is_lost};
use crate::cli::args::StatusFormat;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

/// How long to try to connect again.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// What to follow, and how to tell of it.
pub(crate) struct Follow<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) timeout: Option<Duration>,
    /// How it stood when it was looked at last: what has happened since is told.
    pub(crate) before: Option<RunDetail>,
    pub(crate) tells: Tells,
}

/// Where events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    /// They are the report.
    Events(StatusFormat),
    /// They are messages, on stderr. In JSON, the report is how the run stands in the end.
    End(StatusFormat),
}

/// Tells what happens to a run until it has ended.
pub(crate) async fn follow(operator: &mut Operator, follow: &Follow<'_>, output: &Output) -> Result<Exit, Failure> {
    let result = interruptible(within(follow, to_the_end(operator, follow, output))).await;
    if result.is_none() {
        output.message(&format!(
            "\nRun {0} goes on: `flowsmith watch {0}` follows it, `flowsmith cancel {0}` ends it",
            follow.run_id
        ));
    }
    if follow.tells == Tells::End(StatusFormat::Json) {
        let reported = report_end(operator, follow, output).await;
        // The first failure says more.
        return result.unwrap_or(Ok(Exit::Interrupted)).and_then(|exit| reported.map(|()| exit));
    }
    result.unwrap_or(Ok(Exit::Interrupted))
}

/// What comes of a future; none where Ctrl-C comes before it.
async fn interruptible<T>(future: impl Future<Output = T>) -> Option<T> {
    let interrupt = async {
        // Where signals cannot be heard, Ctrl-C ends the program as ever.
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
            format!("run {} has not ended within {timeout:?}; it goes on", follow.run_id),
            format!(
                "follow it further with `flowsmith watch {0}`, end it with `flowsmith cancel {0}`; `flowsmith stalled` \
                 says what holds tasks up",
                follow.run_id
            ),
        ))
    })
}

async fn report_end(operator: &mut Operator, follow: &Follow<'_>, output: &Output) -> Result<(), Failure> {
    // The connection may have been left in the middle of a question.
    operator.reconnect().await?;
    let flows = operator.flows_if_allowed().await?;
    let run = read_run(&mut operator.connection, operator.engine, &flows, follow.run_id, Depth::Full).await?;
    output.report(&ended_json(&run, &operator.subject));
    Ok(())
}

async fn to_the_end(operator: &mut Operator, follow: &Follow<'_>, output: &Output) -> Result<Exit, Failure> {
    // Until when to try, since the last time that something could be read.
    let mut hope = None;
    let (flows, mut wakeups) = loop {
        match begin(operator, follow, output).await {
            Err(error) if is_lost(&error) => reconnect(operator, error, &mut hope, output).await?,
            begun => break begun?,
        }
    };
    let mut before = follow.before.clone();
    loop {
        let read = read_run(&mut operator.connection, operator.engine, &flows, follow.run_id, Depth::States).await;
        let run = match read {
            Err(error) if is_lost(&error) => {
                reconnect(operator, error, &mut hope, output).await?;
                continue;
            }
            run => run?,
        };
        if hope.take().is_some() {
            output.message("note: connected again");
        }
        for event in events_between(before.as_ref(), &run) {
            match follow.tells {
                Tells::Events(StatusFormat::Text) => output.report(&event_text(&run, &event)),
                Tells::Events(StatusFormat::Json) => output.report(&event_json(&run, &event)),
                Tells::End(_) => output.message(event_text(&run, &event).trim_end()),
            }
        }
        match run.status {
            RunStatus::Started => wakeups.next().await,
            RunStatus::Completed => return Ok(Exit::Done),
            RunStatus::Failed | RunStatus::Cancelled => return Err(failed(&run)),
        }
        before = Some(run);
    }
}

/// Listens from before the first look on, so that nothing is missed between them.
async fn begin(
    operator: &mut Operator,
    follow: &Follow<'_>,
    output: &Output,
) -> Result<(Flows, Wakeups), OperateError> {
    let flows = operator.flows_if_allowed().await?;
    let (wakeups, why) = Wakeups::open(&operator.place.target, &mut operator.connection, follow.run_id).await?;
    if let Some(why) = why {
        output.message(&format!("note: looking twice a second, since {why}"));
    }
    Ok((flows, wakeups))
}

/// Makes a new connection after this error, for as long as there is hope.
pub(crate) async fn reconnect(
    operator: &mut Operator,
    mut error: OperateError,
    hope: &mut Option<Instant>,
    output: &Output,
) -> Result<(), OperateError> {
    if hope.is_none() {
        output.message(&format!("note: {error}; trying again for a minute"));
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
    let mended = if run.status == RunStatus::Cancelled { "to take it up again" } else { "once it is mended" };
    Failure::new(
        Exit::Failed,
        Code::RunFailed,
        format!("run {} of {}@{} {how}{reason}", run.run_id, run.flow, run.version),
        format!("`flowsmith show {0}` says more; {mended}, `flowsmith retry {0}`", run.run_id),
    )
}

/// Says where nobody is there to do it.
pub(crate) async fn note_no_worker(operator: &mut Operator, run: &RunSummary, state: State, output: &Output) {
    if run.status.is_terminal() {
        return;
    }
    let queues = Some(vec![run.slug.clone()]);
    // A role that starts runs need not be allowed to see workers: it is told nothing of them.
    let Ok(crew) = read_crew(&mut operator.connection, operator.engine, queues).await else { return };
    if crew.workers > 0 {
        return;
    }
    output.message(&format!(
        "note: no worker of {}@{} is running: {}; {}",
        run.flow,
        run.version,
        last_worker(crew.last_worker, crew.heartbeat_seconds),
        start_worker(&run.flow, run.version, &run.slug, state)
    ));
}
