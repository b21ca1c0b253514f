//! `flowsmith status`

use flowsmith::report::{status_json, status_text};
use flowsmith_core::migration::Folder;
use flowsmith_postgres::ledger::{MigrationState, Status};
use flowsmith_postgres::live::read_snapshot;

use crate::cli::args::StatusFormat;
use crate::cli::args::road::StatusArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::Place;

pub(crate) async fn run(args: &StatusArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let folder = Folder::read(&project.migrations)?;
    let place = Place::find(project, output)?;
    let mut session = place.open().await?;
    let shape = session.shape()?;
    let live = read_snapshot(&mut session.connection, shape).await?;
    let status = Status::new(folder.migrations(), &live.ledger);
    let subject = session.subject();
    output.report(&match args.format {
        StatusFormat::Text => status_text(&status, &subject, output.layout()),
        StatusFormat::Json => status_json(&status, &subject),
    });
    let differs = [MigrationState::Edited, MigrationState::Missing];
    Ok(if status.in_state(&differs).next().is_some() {
        Exit::Drift
    } else if status.pending().is_empty() {
        Exit::Done
    } else {
        Exit::Pending
    })
}
