//! `flowsmith runs`

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use flowsmith::report::operate::{runs_json, runs_text, runs_width};
use flowsmith_postgres::database::{DatabaseError, Failure as DatabaseFailure};
use flowsmith_postgres::runs::RunStatus;
use flowsmith_postgres::runs::{FlowVersion, OperateError, RunFilter, list_runs, short_id_length};
use tokio::time::{Instant, sleep, timeout};

use super::operator::{Operator, is_lost};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::RunsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

/// How often `--watch` looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// The longest pause between attempts to connect again; the first is `INTERVAL`, each is twice the one before.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After how long without an answer that is said, and how often until the connection is given up.
const WAIT: Duration = Duration::from_secs(5);
const WAITS: u32 = 6;

pub(crate) async fn run(args: &RunsArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    if args.watch && args.format == StatusFormat::Json {
        return Err(Failure::usage("--watch shows text only", "`flowsmith watch RUN --format json` follows one run"));
    }
    let mut operator = Operator::open(project, output).await?;
    let mut report = look(args, &mut operator, output.columns()).await?;
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

/// The next report. Where the server is away, the last one stays, with what is wrong above it, until there is something better.
async fn next(args: &RunsArgs, operator: &mut Operator, last: &str, output: &Output) -> Result<String, Failure> {
    let began = Instant::now();
    let mut pause = INTERVAL;
    // Short lines first: a screen cuts long ones off.
    let say = |what: &str, why: &str| {
        output.screen(&format!("{what}; what follows is {}s old.\n{why}\n\n{last}", began.elapsed().as_secs()));
    };
    loop {
        let error = match answered(look(args, operator, output.columns()), |waited| {
            say(&format!("No answer for {waited}s"), "")
        })
        .await
        {
            Err(error) if is_lost(&error) => error,
            result => return Ok(result?),
        };
        let mut why = error.to_string();
        // What is left of a connection that does not answer would be waited for again.
        loop {
            say(&format!("Not connected, trying again in {}s", pause.as_secs()), &why);
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match operator.reconnect().await {
                Ok(()) => break,
                Err(again) => why = again.to_string(),
            }
        }
    }
}

/// An answer; `say` is told every few seconds for how many it has not come. One that never comes is a lost connection.
async fn answered<T>(
    question: impl Future<Output = Result<T, OperateError>>,
    say: impl Fn(u64),
) -> Result<T, OperateError> {
    let mut question = pin!(question);
    for waits in 1..=WAITS {
        match timeout(WAIT, &mut question).await {
            Ok(answer) => return answer,
            Err(_) => say(u64::from(waits) * WAIT.as_secs()),
        }
    }
    let message = format!("the server has not answered for {}s", u64::from(WAITS) * WAIT.as_secs());
    Err(DatabaseError::new(DatabaseFailure::Lost, message).into())
}

/// `columns`: how wide the terminal is, if it is one.
async fn look(args: &RunsArgs, operator: &mut Operator, columns: Option<usize>) -> Result<String, OperateError> {
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
    // The beginning of an id is enough for every command.
    let id_length = if columns.is_some_and(|columns| runs_width(&list) > columns) {
        let ids: Vec<String> = list.runs.iter().map(|run| run.run_id.clone()).collect();
        short_id_length(&mut operator.connection, &ids).await?
    } else {
        usize::MAX
    };
    Ok(runs_text(&list, id_length, &operator.subject))
}
