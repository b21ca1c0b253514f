//! `flowsmith cancel`

use flowsmith::report::operate::ended_json;
use flowsmith_postgres::runs::RunStatus;
use flowsmith_postgres::runs::{Depth, OperateError, cancel_run, read_run};

use super::confirm::confirm;
use super::operator::Operator;
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::CancelArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &CancelArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    operator.engine.needs_operations("cancelling a run")?;
    let flows = operator.flows().await?;
    let run_id = operator.run_id(&args.run).await?;
    let run = read_run(&mut operator.connection, operator.engine, &flows, &run_id, Depth::States).await?;
    // Nobody is asked about what cannot be done.
    if run.status != RunStatus::Started {
        return Err(OperateError::WrongStatus { run_id, status: run.status, done: "cancelled" }.into());
    }
    confirm(&format!("Cancel run {run_id} of {}@{}?", run.flow, run.version), args.yes, output)?;
    let reason = args.reason.as_deref();
    let run = cancel_run(&mut operator.connection, operator.engine, &flows, &run_id, reason).await?;
    output.message(&format!("Cancelled run {run_id} of {}@{}", run.flow, run.version));
    if args.format == StatusFormat::Json {
        let ended = read_run(&mut operator.connection, operator.engine, &flows, &run_id, Depth::Full).await?;
        output.report(&ended_json(&ended, &operator.subject));
    }
    Ok(Exit::Done)
}
