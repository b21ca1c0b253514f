//! `flowsmith show`

use flowsmith::report::operate::{run_json, run_text};
use flowsmith_postgres::runs::DetailLevel;

use super::operator::{open, subject};
use crate::cli::args::StatusFormat;
use crate::cli::args::operate::ShowArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &ShowArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut operator = open(project, output).await?;
    // JSON needs whole values: a part of a JSON value is not valid.
    let depth = if args.full || args.format == StatusFormat::Json { DetailLevel::Full } else { DetailLevel::Preview };
    let run = operator.run(&args.run, depth).await?;
    output.report(&match args.format {
        StatusFormat::Text => run_text(&run, args.full, output.layout()),
        StatusFormat::Json => run_json(&run, &subject(&operator)),
    });
    Ok(Exit::Done)
}
