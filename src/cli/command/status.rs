//! `flowsmith status`

use flowsmith::report::{status_json, status_text};
use flowsmith_postgres::status::read_status;

use crate::cli::args::StatusFormat;
use crate::cli::args::deploy::StatusArgs;
use crate::cli::database::{self, subject};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;

pub(crate) async fn run(args: &StatusArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let mut session = database::open(project, output).await?;
    let status = read_status(&mut session, &project.files).await?;
    output.report(&match args.format {
        StatusFormat::Text => status_text(&status, &subject(&session), output.layout()),
        StatusFormat::Json => status_json(&status, &subject(&session)),
    });
    Ok(if status.is_drifted() {
        Exit::Drift
    } else if status.pending().is_empty() {
        Exit::Done
    } else {
        Exit::Pending
    })
}
