//! `flowsmith queues`

use flowsmith::report::operate::{queues_json, queues_text};

use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::QueuesArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &QueuesArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    let queues = operator.queues(args.flow.as_deref()).await?;
    output.report(&match args.format {
        StatusFormat::Text => queues_text(&queues, &subject(&operator), output.layout()),
        StatusFormat::Json => queues_json(&queues, &subject(&operator)),
    });
    Ok(Exit::Done)
}
