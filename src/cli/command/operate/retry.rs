//! `flowsmith retry`

use flowsmith::operate::retry_run;
use flowsmith::report::operate::started_json;

use super::follow::{Follow, follow};
use super::operator::Operator;
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::RetryArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &RetryArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let flows = operator.flows().await?;
    let run_id = args.run.resolve(&mut operator.connection).await?;
    let run = retry_run(&mut operator.connection, operator.engine, &flows, &run_id).await?;
    output.message(&format!(
        "Took up run {run_id} of {}@{}: {} of {} steps are still to be done",
        run.flow, run.version, run.remaining_steps, run.steps
    ));
    if args.format == StatusFormat::Json {
        output.report(&started_json(&run, &operator.subject));
    }
    if !args.wait {
        return Ok(Exit::Done);
    }
    let settings = Follow { run_id: &run_id, timeout: args.timeout, as_messages: true, format: StatusFormat::Text };
    follow(&mut operator, &settings, output).await
}
