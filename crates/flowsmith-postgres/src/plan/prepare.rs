//! Plans a project: compares its flow files with the live database, and looks for hazards.

use std::collections::BTreeSet;

use tokio::task::spawn_blocking;

use super::triggers::refused_triggers;
use super::{Abilities, Plan};
use crate::drift::drift;
use crate::introspection::Live;
use crate::ledger::Status;
use crate::runs::read_run_totals;
use crate::session::{CompareError, Session};
use flowsmith_core::catalog::{Catalog, Ignore, State};
use flowsmith_core::check::Checked;
use flowsmith_core::diff::{Change, ChangeSet, diff};
use flowsmith_core::migration::{Folder, ReplayError, carry_over, deletions};
use flowsmith_core::project::Project;

/// A plan, and the check of the flow files that it is based on.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The check of the flow files; its findings are warnings.
    pub checked: Checked,
}

/// Plans a project. Checks the flow files while the database is read. Writes nothing.
///
/// # Errors
/// If a flow file has an error, the migrations cannot be read or replayed, or the database has no engine or cannot be read.
pub async fn plan(session: &mut Session, project: &Project) -> Result<Planned, CompareError> {
    project.require_flows()?;
    let files = project.clone();
    let checking = spawn_blocking(move || files.valid_flows());
    let folder = project.read_migrations()?;
    let shape = session.shape()?;
    session.refuse_foreign_owners().await?;
    let live = session.read_live().await?;
    let mut checked = checking.await??;
    let desired = std::mem::take(&mut checked.catalog);
    let (changes, unmanaged) = changes(&live, desired, &pending_deletions(&folder, &live)?, &project.ignore);
    let slugs: Vec<String> = changes.changes.iter().map(Change::database_slug).collect();
    let runs = read_run_totals(&mut session.connection, &slugs).await?;
    let refused = refused_triggers(&mut session.connection, &changes, &live.catalog).await?;
    let drift = drift(&folder, &live, &project.ignore)?;
    let abilities = Abilities { conditions: shape.conditions, pg_cron: session.detection.has_pg_cron };
    Ok(Planned { plan: Plan::new(changes, unmanaged, &runs, abilities, &refused, drift), checked })
}

/// The flow versions that pending migrations delete, by database slug.
fn pending_deletions(folder: &Folder, live: &Live) -> Result<BTreeSet<String>, ReplayError> {
    let status = Status::new(folder.migrations(), &live.ledger);
    let pending: BTreeSet<&str> = status.pending().into_iter().collect();
    deletions(folder.migrations().iter().filter(|migration| pending.contains(migration.id().as_str())))
}

/// The changes from the live catalog to the desired one, and the live flows that are left alone because they are in no file and
/// were never recorded. A recorded flow version that is in no file is kept, except those in `deletions`, by database slug.
/// A flow whose definition in the ledger cannot be read is not compared.
pub fn changes(
    live: &Live,
    desired: Catalog,
    deletions: &BTreeSet<String>,
    ignore: &Ignore,
) -> (ChangeSet, Vec<String>) {
    let mut from = live.catalog.clone();
    let mut unmanaged = Vec::new();
    for (slug, flow) in live.catalog.iter() {
        if flow.state == State::Unmanaged && desired.get(slug).is_none() {
            from.remove(slug);
            if !ignore.matches(slug) {
                unmanaged.push(slug.to_owned());
            }
        }
    }
    let deleted: Vec<&String> = deletions.iter().filter(|slug| desired.get(slug).is_none()).collect();
    let mut target = carry_over(&from, desired);
    for slug in deleted {
        target.remove(slug);
    }
    let mut changes = diff(&from, &target);
    // Its recorded annotations and triggers are unknown.
    changes.changes.retain(|change| !live.unreadable.contains(&change.database_slug()));
    (changes, unmanaged)
}
