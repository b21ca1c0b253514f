//! `flowsmith runs`

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use flowsmith::report::TextLayout;
use flowsmith::report::operate::{runs_fit, runs_json, runs_text};
use flowsmith_postgres::database::{DatabaseError, Failure as DatabaseFailure};
use flowsmith_postgres::live::RunStatus;
use flowsmith_postgres::runs::{FlowVersion, RunFilter, RunsError, list_runs, short_id_length};
use tokio::time::{Instant, sleep, timeout};

use super::operator::{Operator, is_lost};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::RunsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

/// The polling interval of `--watch`.
const INTERVAL: Duration = Duration::from_secs(2);
/// The longest pause between attempts to reconnect; the first is `INTERVAL`, and each is twice the previous one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The time without an answer after which a message is shown, and the number of such periods until the connection is abandoned.
const WAIT: Duration = Duration::from_secs(5);
const WAITS: u32 = 6;

pub(crate) async fn run(args: &RunsArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    if args.watch && args.format == StatusFormat::Json {
        return Err(Failure::usage(
            "--watch supports text only",
            "use `flowsmith watch RUN --format json` to follow one run",
        ));
    }
    let mut operator = Operator::open(project, output).await?;
    let mut report = look(args, &mut operator, output.layout()).await?;
    if !args.watch {
        output.report(&report);
        return Ok(Exit::Done);
    }
    loop {
        output.screen(&report);
        sleep(INTERVAL).await;
        report = next(args, &mut operator, &report, output).await?;
    }
}

/// The next report. While the server is unavailable, the last report is shown below the error.
async fn next(args: &RunsArgs, operator: &mut Operator, last: &str, output: &Output) -> Result<String, Failure> {
    let began = Instant::now();
    let mut pause = INTERVAL;
    // Short lines come first, because the screen truncates long ones.
    let say = |what: &str, why: &str| {
        let head = format!("{what}; the data below is {}s old.\n{why}\n\n", began.elapsed().as_secs());
        output.screen(&(output.layout().wrap(&head) + last));
    };
    loop {
        let error = match answered(look(args, operator, output.layout()), |waited| {
            say(&format!("No answer for {waited}s"), "")
        })
        .await
        {
            Err(error) if is_lost(&error) => error,
            result => return Ok(result?),
        };
        let mut why = error.to_string();
        // A connection that does not answer is replaced, because it would block again.
        loop {
            say(&format!("Not connected, retrying in {}s", pause.as_secs()), &why);
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match operator.reconnect().await {
                Ok(()) => break,
                Err(again) => why = again.to_string(),
            }
        }
    }
}

/// Awaits an answer, and calls `say` with the waiting time every few seconds. If the answer does not arrive at all, the connection
/// counts as lost.
async fn answered<T>(question: impl Future<Output = Result<T, RunsError>>, say: impl Fn(u64)) -> Result<T, RunsError> {
    let mut question = pin!(question);
    for waits in 1..=WAITS {
        match timeout(WAIT, &mut question).await {
            Ok(answer) => return answer,
            Err(_) => say(u64::from(waits) * WAIT.as_secs()),
        }
    }
    let message = format!("the server did not answer for {}s", u64::from(WAITS) * WAIT.as_secs());
    Err(DatabaseError::new(DatabaseFailure::Lost, message).into())
}

/// Reads the runs and lays out the report.
async fn look(args: &RunsArgs, operator: &mut Operator, layout: TextLayout) -> Result<String, RunsError> {
    let flows = operator.flows().await?;
    let slugs = args.flow.as_deref().map(|name| flows.named(name)).transpose()?;
    let filter = RunFilter {
        slugs: slugs.map(|named| named.into_iter().map(|flow: &FlowVersion| flow.slug.clone()).collect()),
        status: if args.failed { Some(RunStatus::Failed) } else { args.status },
        since: args.since.map(|since| since.as_secs_f64()),
        limit: args.limit,
    };
    let list = list_runs(&mut operator.connection, operator.engine, &flows, &filter).await?;
    if args.format == StatusFormat::Json {
        return Ok(runs_json(&list, &operator.subject));
    }
    // Every command accepts a prefix of an id.
    let id_length = if runs_fit(&list, layout) {
        usize::MAX
    } else {
        let ids: Vec<String> = list.runs.iter().map(|run| run.run_id.clone()).collect();
        short_id_length(&mut operator.connection, &ids).await?
    };
    Ok(runs_text(&list, id_length, &operator.subject, layout))
}
