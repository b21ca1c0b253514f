//! Following a run to its end.

use std::time::Duration;

use flowsmith::operate::{Depth, Flows, OperateError, RunDetail, RunStatus, Wakeups, events_between, read_run};
use flowsmith::report::operate::{event_json, event_text};
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
    /// Whether events are messages, on stderr, and not the report.
    pub(crate) as_messages: bool,
    pub(crate) format: StatusFormat,
}

/// Tells what happens to a run until it has ended.
pub(crate) async fn follow(operator: &mut Operator, follow: &Follow<'_>, output: &Output) -> Result<Exit, Failure> {
    let until_end = to_the_end(operator, follow, output);
    let Some(timeout) = follow.timeout else { return until_end.await };
    match timeout_at(Instant::now() + timeout, until_end).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(
            Exit::Failed,
            "FS975",
            format!("run {} has not ended in time; it goes on", follow.run_id),
            format!(
                "follow it further with `flowsmith watch {}`; `flowsmith stalled` says what holds tasks up",
                follow.run_id
            ),
        )),
    }
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
    let mut before: Option<RunDetail> = None;
    loop {
        let read = read_run(&mut operator.connection, operator.engine, &flows, follow.run_id, Depth::States).await;
        let run = match read {
            Err(error) if is_lost(&error) => {
                reconnect(operator, error, &mut hope, output).await?;
                continue;
            }
            run => run?,
        };
        hope = None;
        for event in events_between(before.as_ref(), &run) {
            let text = match follow.format {
                StatusFormat::Text => event_text(&event),
                StatusFormat::Json => event_json(&run, &event),
            };
            if follow.as_messages { output.message(text.trim_end()) } else { output.report(&text) }
        }
        match run.status {
            RunStatus::Started => wakeups.next().await,
            RunStatus::Completed => return Ok(Exit::Done),
            RunStatus::Failed => return Err(failed(&run)),
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
async fn reconnect(
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
    let reason = run.failure_reason().unwrap_or_default();
    let help = format!("`flowsmith show {0}` says more; once it is mended, `flowsmith retry {0}`", run.run_id);
    Failure::new(
        Exit::Failed,
        "FS969",
        format!("run {} of {}@{} has failed: {reason}", run.run_id, run.flow, run.version),
        help,
    )
}
