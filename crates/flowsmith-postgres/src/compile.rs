//! Compiling a project against the live database instead of its migrations: the new migration reverts drift.

use std::collections::BTreeSet;

use crate::drift::revert_target;
use crate::introspection::Live;
use crate::plan::changes;
use crate::session::{CompareError, Session};
use flowsmith_core::catalog::{Catalog, Flow, FlowId, State};
use flowsmith_core::diff::Change;
use flowsmith_core::migration::replay;
use flowsmith_core::project::Project;
use flowsmith_core::project::{Compilation, CompileOptions, Repairs};

/// Compiles the difference between the live database and the flow files. The migration also recreates queues that are missing
/// and triggers that differ from their record. Writes nothing.
///
/// # Errors
/// If the migrations cannot be read or replayed, a flow file has an error, the database has no engine or cannot be read, or the
/// options do not fit the changes.
pub async fn compile_from_live(
    session: &mut Session,
    project: &Project,
    options: &CompileOptions,
) -> Result<Compilation, CompareError> {
    let folder = project.read_migrations()?;
    let checked = project.valid_flows()?;
    let live = session.read_live().await?;
    let deleted: BTreeSet<String> = options.delete.iter().map(FlowId::database_slug).collect();
    let target = revert_target(&folder, &live, checked.catalog.clone(), &deleted)?;
    let (changes, _) = changes(&live, target, &deleted, &project.ignore);
    let changed: BTreeSet<String> = changes.changes.iter().map(Change::database_slug).collect();
    let repairs = Repairs { base: Some(replay(folder.migrations())?), ..repairs(&live) };
    let is_touched = |slug: &str, flow: &Flow| {
        let needs_repair = repairs.queues.contains(slug) || repairs.triggers.contains(&flow.id.slug);
        changed.contains(slug) || needs_repair && flow.state != State::Unmanaged
    };
    let touched = live.catalog.iter().filter(|(slug, flow)| is_touched(slug, flow)).map(|(_, flow)| flow.clone());
    let actual: Catalog = touched.collect();
    let target = changes.apply(&actual);
    Ok(Compilation::new(project, folder, checked, &actual, target, options, repairs)?)
}

/// The queues and triggers to recreate. A broken trigger is as recorded, so that recreating it does not help.
fn repairs(live: &Live) -> Repairs {
    let differences = live.trigger_differences.iter().filter(|difference| !difference.broken);
    Repairs {
        queues: live.without_queue.clone(),
        triggers: differences.map(|difference| difference.flow.clone()).collect(),
        base: None,
    }
}
