//! `flowsmith runs`

use std::time::Duration;

use flowsmith::report::TextLayout;
use flowsmith::report::operate::{runs_fit, runs_json, runs_text};
use flowsmith_postgres::runs::{NoAnswer, Operator, RunFilter, RunStatus, RunsError, short_id_length, until_answered};
use tokio::time::{Instant, sleep};

use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::RunsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

/// The pause of `--watch` between two reports.
const INTERVAL: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: &RunsArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    if args.watch && args.format == StatusFormat::Json {
        return Err(Failure::usage(
            "--watch supports text only",
            "use `flowsmith watch RUN --format json` to follow one run",
        ));
    }
    let mut operator = open(project, output).await?;
    let mut report = read(args, &mut operator, output.layout()).await?;
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

/// The next report. While there is no answer, the last report stays, below a line with the reason.
async fn next(args: &RunsArgs, operator: &mut Operator, last: &str, output: &Output) -> Result<String, Failure> {
    let began = Instant::now();
    let ask = async |operator: &mut Operator| read(args, operator, output.layout()).await;
    let answer = until_answered(operator, ask, |no_answer| {
        // Short lines first: the screen cuts long ones off.
        let (what, why) = match no_answer {
            NoAnswer::Waiting(waited) => (format!("No answer for {}s", waited.as_secs()), String::new()),
            NoAnswer::NotConnected { pause, reason } => {
                (format!("Not connected, retrying in {}s", pause.as_secs()), reason)
            }
            _ => return,
        };
        let head = format!("{what}; the data below is {}s old.\n{why}\n\n", began.elapsed().as_secs());
        output.screen(&(output.layout().wrap(&head) + last));
    });
    Ok(answer.await?)
}

/// Reads the runs and lays out the report.
async fn read(args: &RunsArgs, operator: &mut Operator, layout: TextLayout) -> Result<String, RunsError> {
    let filter = RunFilter {
        slugs: None,
        status: if args.failed { Some(RunStatus::Failed) } else { args.status },
        since: args.since.map(|since| since.as_secs_f64()),
        limit: args.limit,
    };
    let list = operator.runs(args.flow.as_deref(), filter).await?;
    if args.format == StatusFormat::Json {
        return Ok(runs_json(&list, &subject(operator)));
    }
    // A unique prefix of an id is enough for every command.
    let id_length = if !runs_fit(&list, layout) {
        let ids: Vec<String> = list.runs.iter().map(|run| run.run_id.clone()).collect();
        short_id_length(operator.connection(), &ids).await?
    } else {
        usize::MAX
    };
    Ok(runs_text(&list, id_length, &subject(operator), layout))
}
