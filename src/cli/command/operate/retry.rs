//! `flowsmith retry`

use flowsmith::report::operate::started_json;
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::RetriedRun;

use super::follow::{Follow, FollowReport, follow, note_no_worker};
use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::RetryArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &RetryArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    let RetriedRun { before, run, state } = operator.retry(&args.run).await?;
    output.message(&format!(
        "Retried run {} of {}@{}: {} of {} remaining",
        run.run_id,
        run.flow,
        run.version,
        run.remaining_steps,
        counted(run.steps as usize, "step")
    ));
    if args.format == StatusFormat::Json && !args.wait {
        output.report(&started_json(&run, &subject(&operator)));
    }
    note_no_worker(&mut operator, &run, state, output).await;
    if !args.wait {
        return Ok(Exit::Done);
    }
    let report = FollowReport::End(args.format);
    let settings = Follow { run_id: &run.run_id, timeout: args.timeout, before: Some(before), report };
    follow(&mut operator, settings, output).await
}
