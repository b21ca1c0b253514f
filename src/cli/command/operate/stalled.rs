//! `flowsmith stalled`

use flowsmith::report::operate::{stalled_json, stalled_text};
use flowsmith_core::words::counted;

use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::StalledArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &StalledArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    let (flow, at_least) = (args.flow.as_deref(), args.at_least.as_secs_f64());
    let stalls = if args.requeue {
        let (tasks, stalls) = operator.requeue(flow, at_least).await?;
        let tasks = counted(usize::try_from(tasks).unwrap_or(usize::MAX), "task");
        output.message(&format!("Requeued {tasks} of all flows"));
        stalls
    } else {
        operator.stalled(flow, at_least).await?
    };
    output.report(&match args.format {
        StatusFormat::Text => stalled_text(&stalls, operator.engine, &subject(&operator), output.layout()),
        StatusFormat::Json => stalled_json(&stalls, operator.engine, &subject(&operator)),
    });
    Ok(Exit::Done)
}
