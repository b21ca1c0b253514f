//! Follows a run to its end.

use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use flowsmith::report::operate::{ended_json, event_json, event_text, last_worker};
use flowsmith_core::catalog::State;
use flowsmith_core::visible::visible;
use flowsmith_postgres::runs::{self, FollowEvent, Operator, RunDetail, RunSummary, start_worker_advice};
use futures_util::future::{Either, select};

use super::operator::subject;
use crate::cli::args::StatusFormat;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

/// The run to follow, and the report about it.
pub(crate) struct Follow<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) timeout: Option<Duration>,
    /// The run when it was read last: changes since then are reported.
    pub(crate) before: Option<RunDetail>,
    pub(crate) report: FollowReport,
}

/// Where the changes of a run are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FollowReport {
    /// The report consists of the changes.
    Changes(StatusFormat),
    /// The changes are messages on stderr. In JSON, the report is the run after its end.
    End(StatusFormat),
}

/// Reports the changes of a run until it has ended, or until Ctrl-C.
pub(crate) async fn follow(operator: &mut Operator, follow: Follow<'_>, output: &Output) -> Result<Exit, Failure> {
    let Follow { run_id, timeout, before, report } = follow;
    let following = runs::follow(operator, run_id, before, timeout, |event| report_event(event, report, output));
    let result = match interruptible(following).await {
        Some(Ok(_)) => Ok(Exit::Done),
        Some(Err(error)) => Err(error.into()),
        None => {
            output.message(&format!(
                "\nRun {run_id} continues: `flowsmith watch {run_id}` follows it, `flowsmith cancel {run_id}` cancels it"
            ));
            Ok(Exit::Interrupted)
        }
    };
    if report == FollowReport::End(StatusFormat::Json) {
        let reported = report_end(operator, run_id, output).await;
        // The first failure is more informative.
        return result.and_then(|exit| reported.map(|()| exit));
    }
    result
}

/// The result of a future; `None` if Ctrl-C comes first.
async fn interruptible<T>(future: impl Future<Output = T>) -> Option<T> {
    let interrupt = async {
        // If the signal cannot be received, Ctrl-C ends the program as usual.
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    };
    match select(pin!(future), pin!(interrupt)).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}

fn report_event(event: FollowEvent<'_>, report: FollowReport, output: &Output) {
    match event {
        FollowEvent::Polling(why) => output.message(&format!("note: polling twice a second, because {why}")),
        FollowEvent::ConnectionLost(error) => {
            output.message(&format!("note: {}; retrying for a minute", visible(&error.to_string())));
        }
        FollowEvent::Reconnected => output.message("note: reconnected"),
        FollowEvent::Changed { run, event } => match report {
            FollowReport::Changes(StatusFormat::Text) => output.report(&event_text(run, event, output.layout())),
            FollowReport::Changes(StatusFormat::Json) => output.report(&event_json(run, event)),
            FollowReport::End(_) => output.message(event_text(run, event, output.layout()).trim_end()),
        },
        _ => {}
    }
}

async fn report_end(operator: &mut Operator, run_id: &str, output: &Output) -> Result<(), Failure> {
    let run = operator.read_again(run_id).await?;
    output.report(&ended_json(&run, &subject(operator)));
    Ok(())
}

/// Notes that no worker of a run's queue is alive.
pub(crate) async fn note_no_worker(operator: &mut Operator, run: &RunSummary, state: State, output: &Output) {
    if let Some(workers) = operator.missing_workers(run).await {
        output.message(&format!(
            "note: no worker of {}@{} is running: {}; {}",
            run.flow,
            run.version,
            last_worker(workers.last_worker, workers.heartbeat_seconds),
            start_worker_advice(&run.flow, run.version, &run.slug, state)
        ));
    }
}
