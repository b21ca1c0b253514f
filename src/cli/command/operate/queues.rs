//! `flowsmith queues`

use flowsmith::report::operate::{queues_json, queues_text};
use flowsmith_postgres::runs::read_queues;

use super::operator::{Operator, named};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::QueuesArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &QueuesArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let flows = operator.flows().await?;
    let queues = read_queues(&mut operator.connection, operator.engine, &named(&flows, args.flow.as_deref())?).await?;
    output.report(&match args.format {
        StatusFormat::Text => queues_text(&queues, &operator.subject, output.layout()),
        StatusFormat::Json => queues_json(&queues, &operator.subject),
    });
    Ok(Exit::Done)
}
