//! `flowsmith plan`

use flowsmith::ledger::Status;
use flowsmith::live::{read_snapshot, run_counts};
use flowsmith::migration::{Folder, deletions};
use flowsmith::plan::{Plan, changes, plan};
use flowsmith::report::{plan_json, plan_markdown, plan_text};

use crate::cli::args::{ReportArgs, ReportFormat};
use crate::cli::command::check;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::{Place, Session};

pub(crate) async fn run(args: &ReportArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let place = Place::find(project, output)?;
    let mut session = place.open().await?;
    let plan = against(&mut session, project, output).await?;
    let subject = session.subject();
    output.report(&match args.format {
        ReportFormat::Text => plan_text(&plan, &subject),
        ReportFormat::Json => plan_json(&plan, &subject),
        ReportFormat::Markdown => plan_markdown(&plan, &subject),
    });
    Ok(if plan.is_empty() { Exit::Done } else { Exit::Pending })
}

/// The plan for an open database.
async fn against(session: &mut Session, project: &Project, output: &Output) -> Result<Plan, Failure> {
    let shape = session.shape()?;
    let folder = Folder::read(&project.migrations)?;
    let checked = check::or_refuse(project, None, output)?;
    let live = read_snapshot(&mut session.connection, shape).await?;
    let status = Status::new(folder.migrations(), &live.ledger);
    let pending = status.pending();
    let deletions = deletions(folder.migrations().iter().filter(|m| pending.contains(&m.id().as_str())))?;
    let (changes, unmanaged) = changes(&live, checked.catalog, &deletions, &project.ignore);
    let slugs: Vec<String> = changes.changes.iter().map(flowsmith::diff::Change::database_slug).collect();
    let runs = if slugs.is_empty() { Default::default() } else { run_counts(&mut session.connection, &slugs).await? };
    Ok(plan(changes, unmanaged, &runs, shape.conditions))
}
