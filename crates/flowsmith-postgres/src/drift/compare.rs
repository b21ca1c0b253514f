//! Compares the applied migrations with the live database.

use std::collections::BTreeSet;

use tokio::task::spawn_blocking;

use super::Drift;
use crate::introspection::Live;
use crate::ledger::{MigrationState, Status};
use crate::session::{CompareError, Session};
use flowsmith_core::catalog::{Catalog, Ignore, State};
use flowsmith_core::diff::diff;
use flowsmith_core::migration::{Folder, ReplayError, carry_over, replay};
use flowsmith_core::project::Project;

/// Compares the applied migrations of a project with the database. Reads the migrations while the database is read. Writes
/// nothing.
///
/// # Errors
/// If the migrations cannot be read or replayed, or the database has no engine or cannot be read.
pub async fn read_drift(session: &mut Session, project: &Project) -> Result<Drift, CompareError> {
    let files = project.clone();
    let reading = spawn_blocking(move || files.read_migrations());
    let live = session.read_live().await?;
    let folder = reading.await??;
    Ok(drift(&folder, &live, &project.ignore)?)
}

/// Compares the applied migrations with the live database.
///
/// # Errors
/// If a migration cannot be replayed.
pub fn drift(folder: &Folder, live: &Live, ignore: &Ignore) -> Result<Drift, ReplayError> {
    let status = Status::new(folder.migrations(), &live.ledger);
    let recorded = recorded(folder, live)?;
    let changed = [MigrationState::Edited, MigrationState::Missing];
    let migrations = status.in_state(&changed).map(|migration| (migration.id.clone(), migration.state)).collect();
    Ok(between(&recorded, live, ignore, migrations))
}

/// The catalog to revert a database to: `desired`, the flows of the files, and each flow version that was applied there and is
/// not in the files any more, as the newest migration records it, except those in `deleted`, by database slug.
///
/// # Errors
/// If a migration cannot be replayed.
pub fn revert_target(
    folder: &Folder,
    live: &Live,
    desired: Catalog,
    deleted: &BTreeSet<String>,
) -> Result<Catalog, ReplayError> {
    let applied = recorded(folder, live)?;
    // Pending migrations count too: a flow version that they delete is not restored.
    let newest = replay(folder.migrations())?;
    let kept = newest.iter().filter(|(slug, _)| applied.get(slug).is_some() && !deleted.contains(*slug));
    let kept: Catalog = kept.map(|(_, flow)| flow.clone()).collect();
    Ok(carry_over(&kept, desired))
}

/// The catalog that the applied migrations record.
fn recorded(folder: &Folder, live: &Live) -> Result<Catalog, ReplayError> {
    let applied: BTreeSet<&str> = live.ledger.iter().map(|entry| entry.version.as_str()).collect();
    replay(folder.migrations().iter().filter(|migration| applied.contains(migration.version.to_string().as_str())))
}

fn between(recorded: &Catalog, live: &Live, ignore: &Ignore, migrations: Vec<(String, MigrationState)>) -> Drift {
    let given = recorded;
    let is_unrecorded = |slug: &str| given.get(slug).is_none();
    let (mut recorded, mut actual) = (recorded.clone(), live.catalog.clone());
    for slug in &live.unreadable {
        recorded.remove(slug);
        actual.remove(slug);
    }
    let mut unmanaged = Vec::new();
    for (slug, flow) in live.catalog.iter().filter(|(slug, _)| !live.unreadable.contains(*slug)) {
        if ignore.matches(slug) && is_unrecorded(slug) {
            actual.remove(slug);
        } else if flow.state == State::Unmanaged && is_unrecorded(slug) {
            actual.remove(slug);
            unmanaged.push(slug.to_owned());
        }
    }
    Drift {
        unreadable: live.unreadable.clone(),
        changes: diff(&recorded, &actual).changes,
        unmanaged,
        without_queue: live.without_queue.iter().filter(|slug| !is_unrecorded(slug)).cloned().collect(),
        triggers: live.trigger_differences.clone(),
        migrations,
    }
}
