//! `flowsmith retry`

use flowsmith::report::operate::started_json;
use flowsmith_core::catalog::State;
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::{DetailLevel, read_run, retry_run};

use super::follow::{Follow, Tells, follow, note_no_worker};
use super::operator::Operator;
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::RetryArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &RetryArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let flows = operator.flows().await?;
    let run_id = operator.run_id(&args.run).await?;
    let before = read_run(&mut operator.connection, operator.engine, &flows, &run_id, DetailLevel::Status).await?;
    let run = retry_run(&mut operator.connection, operator.engine, &flows, &run_id).await?;
    output.message(&format!(
        "Retried run {run_id} of {}@{}: {} of {} remaining",
        run.flow,
        run.version,
        run.remaining_steps,
        counted(run.steps as usize, "step")
    ));
    if args.format == StatusFormat::Json && !args.wait {
        output.report(&started_json(&run, &operator.subject));
    }
    let state = flows.by_slug(&run.slug).map_or(State::Unmanaged, |flow| flow.state);
    note_no_worker(&mut operator, &run, state, output).await;
    if !args.wait {
        return Ok(Exit::Done);
    }
    let tells = Tells::End(args.format);
    let settings = Follow { run_id: &run_id, timeout: args.timeout, before: Some(before), tells };
    follow(&mut operator, &settings, output).await
}
