//! `flowsmith stats`

use flowsmith::report::operate::{stats_json, stats_text};

use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::StatsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &StatsArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    let since = args.since.as_secs_f64();
    let stats = operator.stats(args.flow.as_deref(), since).await?;
    output.report(&match args.format {
        StatusFormat::Text => stats_text(&stats, since, &subject(&operator), output.layout()),
        StatusFormat::Json => stats_json(&stats, since, &subject(&operator)),
    });
    Ok(Exit::Done)
}
