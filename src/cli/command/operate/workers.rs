//! `flowsmith workers`

use flowsmith::report::operate::{workers_json, workers_text};
use flowsmith_postgres::runs::{read_queue_workers, read_workers};

use super::operator::{Operator, slugs};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::WorkersArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &WorkersArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let queues = match args.flow.as_deref() {
        Some(flow) => Some(slugs(&operator.flows().await?.named(flow)?)),
        None => None,
    };
    let workers = read_workers(&mut operator.connection, operator.engine, queues.clone(), args.all).await?;
    let summary = if workers.is_empty() && args.format == StatusFormat::Text {
        Some(read_queue_workers(&mut operator.connection, operator.engine, queues).await?)
    } else {
        None
    };
    output.report(&match args.format {
        StatusFormat::Text => workers_text(&workers, summary.as_ref(), &operator.subject, output.layout()),
        StatusFormat::Json => workers_json(&workers, &operator.subject),
    });
    Ok(Exit::Done)
}
