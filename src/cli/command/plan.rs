//! `flowsmith plan`

use std::collections::{BTreeMap, BTreeSet};

use flowsmith::report::{plan_html, plan_json, plan_markdown, plan_text};
use flowsmith_core::diff::Change;
use flowsmith_core::migration::{Folder, deletions};
use flowsmith_postgres::drift::drift;
use flowsmith_postgres::ledger::Status;
use flowsmith_postgres::live::{read_snapshot, run_counts};
use flowsmith_postgres::plan::{Abilities, changes, plan, refused_triggers};

use crate::cli::args::road::{PlanArgs, PlanFormat};
use crate::cli::command::check;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::Place;

pub(crate) async fn run(args: &PlanArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let checking = check::start(project)?;
    let folder = Folder::read(&project.migrations)?;
    let place = Place::find(project, output)?;
    let mut session = place.open().await?;
    let shape = session.shape()?;
    let live = read_snapshot(&mut session.connection, shape).await?;
    let checked = check::accept(checking.finish().await?, project, output)?;
    let status = Status::new(folder.migrations(), &live.ledger);
    let pending: BTreeSet<&str> = status.pending().into_iter().collect();
    let deletions = deletions(folder.migrations().iter().filter(|m| pending.contains(m.id().as_str())))?;
    let (changes, unmanaged) = changes(&live, checked.catalog, &deletions, &project.ignore);
    let abilities = Abilities { conditions: shape.conditions, pg_cron: session.detection.has_pg_cron };
    let slugs: Vec<String> = changes.changes.iter().map(Change::database_slug).collect();
    let runs = if slugs.is_empty() { BTreeMap::new() } else { run_counts(&mut session.connection, &slugs).await? };
    let refused = refused_triggers(&mut session.connection, &changes, &live.catalog).await?;
    let mut plan = plan(changes, unmanaged, &runs, abilities, &refused);
    plan.drift = drift(&folder, &live, &project.ignore)?;
    session.note_unseen_triggers(output);
    let subject = session.subject();
    output.report(&match args.format {
        PlanFormat::Text => plan_text(&plan, &subject, output.layout()),
        PlanFormat::Json => plan_json(&plan, &subject),
        PlanFormat::Markdown => plan_markdown(&plan, &subject),
        PlanFormat::Html => plan_html(&plan, &subject),
    });
    Ok(if plan.is_refused() {
        Exit::Refused
    } else if plan.is_drifted() {
        Exit::Drift
    } else if plan.is_in_sync() {
        Exit::Done
    } else {
        Exit::Pending
    })
}
