//! `flowsmith drift`

use flowsmith::report::{drift_json, drift_markdown, drift_text};
use flowsmith_core::migration::Folder;
use flowsmith_postgres::drift::drift;
use flowsmith_postgres::live::read_snapshot;

use crate::cli::args::road::{ReportArgs, ReportFormat};
use crate::cli::background::Background;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::Place;

pub(crate) async fn run(args: &ReportArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let path = project.migrations.clone();
    let reading = Background::start(move || Folder::read(&path));
    let place = Place::find(project, output)?;
    let mut session = place.open().await?;
    let shape = session.shape()?;
    let live = read_snapshot(&mut session.connection, shape).await?;
    let folder = reading.finish().await??;
    let drift = drift(&folder, &live, &project.ignore)?;
    session.note_unseen_triggers(output);
    let subject = session.subject();
    output.report(&match args.format {
        ReportFormat::Text => drift_text(&drift, &subject, output.layout()),
        ReportFormat::Json => drift_json(&drift, &subject),
        ReportFormat::Markdown => drift_markdown(&drift, &subject),
    });
    Ok(if drift.is_empty() { Exit::Done } else { Exit::Drift })
}
