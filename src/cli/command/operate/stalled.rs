//! `flowsmith stalled`

use flowsmith::report::operate::{stalled_json, stalled_text};
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::{find_stalled, requeue_stalled};

use super::operator::{Operator, named};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::StalledArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &StalledArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let flows = operator.flows().await?;
    let flows = named(&flows, args.flow.as_deref())?;
    if args.requeue {
        let tasks = requeue_stalled(&mut operator.connection, operator.engine).await?;
        let tasks = counted(usize::try_from(tasks).unwrap_or(usize::MAX), "task");
        output.message(&format!("Requeued {tasks} of all flows"));
    }
    let at_least = args.at_least.as_secs_f64();
    let stalls = find_stalled(&mut operator.connection, operator.engine, &flows, at_least).await?;
    output.report(&match args.format {
        StatusFormat::Text => stalled_text(&stalls, operator.engine, &operator.subject, output.layout()),
        StatusFormat::Json => stalled_json(&stalls, operator.engine, &operator.subject),
    });
    Ok(Exit::Done)
}
