//! `flowsmith workers`

use flowsmith::report::operate::{workers_json, workers_text};

use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::WorkersArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &WorkersArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    let queues = operator.queue_names(args.flow.as_deref()).await?;
    let workers = operator.workers(queues.clone(), args.all).await?;
    let counts = if workers.is_empty() && args.format == StatusFormat::Text {
        Some(operator.worker_counts(queues).await?)
    } else {
        None
    };
    output.report(&match args.format {
        StatusFormat::Text => workers_text(&workers, counts.as_ref(), &subject(&operator), output.layout()),
        StatusFormat::Json => workers_json(&workers, &subject(&operator)),
    });
    Ok(Exit::Done)
}
