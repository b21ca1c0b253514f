//! `flowsmith stats`

use flowsmith::report::operate::{stats_json, stats_text};
use flowsmith_postgres::runs::read_stats;

use super::operator::{Operator, named};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::StatsArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &StatsArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let flows = operator.flows().await?;
    let flows = named(&flows, args.flow.as_deref())?;
    let since = args.since.as_secs_f64();
    let by_step = args.flow.is_some();
    let stats = read_stats(&mut operator.connection, operator.engine, &flows, since, by_step).await?;
    output.report(&match args.format {
        StatusFormat::Text => stats_text(&stats, since, &operator.subject, output.layout()),
        StatusFormat::Json => stats_json(&stats, since, &operator.subject),
    });
    Ok(Exit::Done)
}
