//! `flowsmith cancel`

use flowsmith::report::operate::ended_json;

use super::confirm::confirm;
use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::CancelArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &CancelArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    // Checked before asking for confirmation.
    let cancellable = operator.cancellable(&args.run).await?;
    let run = &cancellable.run;
    let question = format!("Cancel run {} of {}@{}?", run.run_id, run.flow, run.version);
    confirm(&question, args.yes, output)?;
    let run = operator.cancel(&cancellable, args.reason.as_deref()).await?;
    output.message(&format!("Cancelled run {} of {}@{}", run.run_id, run.flow, run.version));
    if args.format == StatusFormat::Json {
        let ended = operator.read_cancelled(&cancellable).await?;
        output.report(&ended_json(&ended, &subject(&operator)));
    }
    Ok(Exit::Done)
}
