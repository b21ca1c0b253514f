//! `flowsmith show`

use flowsmith::report::operate::{run_json, run_text};
use flowsmith_postgres::runs::{DetailLevel, read_run};

use super::operator::Operator;
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::ShowArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &ShowArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = Operator::open(project, output).await?;
    let flows = operator.flows_if_allowed().await?;
    let run_id = operator.run_id(&args.run).await?;
    // JSON output is always complete: a truncated JSON value is useless.
    let depth = if args.full || args.format == StatusFormat::Json { DetailLevel::Full } else { DetailLevel::Preview };
    let run = read_run(&mut operator.connection, operator.engine, &flows, &run_id, depth).await?;
    output.report(&match args.format {
        StatusFormat::Text => run_text(&run, args.full, output.layout()),
        StatusFormat::Json => run_json(&run, &operator.subject),
    });
    Ok(Exit::Done)
}
