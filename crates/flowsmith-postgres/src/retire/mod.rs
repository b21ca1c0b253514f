//! Retiring: deletes drained old versions of flows with a migration, so that the folder, the ledger and the database agree.

mod deletion;
mod drain;
mod error;

pub use drain::Busy;
pub use error::RetireError;

use std::path::PathBuf;
use std::time::Duration;

use crate::apply::{self, Applied, ApplySettings, Progress, apply};
use crate::runs::{OldVersion, Operator, PruneFilter, RunsError, prune, read_old_versions, versions_to_retire};
use crate::session::Session;
use deletion::Deletion;
use flowsmith_core::catalog::{Catalog, FlowId};
use flowsmith_core::check::Checked;
use flowsmith_core::migration::{CompileError, replay};
use flowsmith_core::project::Project;

/// How to retire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Refuse versions that are not drained.
    No,
    /// Wait until they are drained, at most this long.
    UntilDrained(Option<Duration>),
}

/// Progress of a retirement.
#[derive(Debug)]
#[non_exhaustive]
pub enum RetireEvent<'a> {
    /// The flow files were checked; the findings are warnings.
    Checked(&'a Checked),
    /// Waiting for these versions, the first time that they are not drained.
    Waiting(&'a [OldVersion]),
    /// The versions that are not drained after this time; reported when they change, and every half a minute.
    NotDrained(&'a [Busy], Duration),
    /// The connection is lost; it is tried again for a minute.
    ConnectionLost(&'a RunsError),
    /// Runs were deleted: so many of all.
    Pruned(u64),
    /// The migration was written.
    Wrote(PathBuf),
    /// A migration was applied.
    Applied(&'a str, Duration),
}

/// A retirement that nothing prevents: the versions are drained, no flow file defines them, and the migration can be applied.
#[derive(Debug)]
pub struct Retirement {
    /// The versions to delete.
    pub ids: Vec<FlowId>,
    /// The number of ended runs that are deleted with them.
    pub runs: u64,
    slugs: Vec<String>,
    deletion: Deletion,
}

/// The result of a retirement.
#[derive(Debug)]
pub struct Retired {
    /// The result of applying the migration.
    pub applied: Applied,
    /// The old versions that remain.
    pub remaining: Vec<OldVersion>,
}

/// The old versions of a database: those that are draining or retired.
///
/// # Errors
/// If the connection fails, or the role may not read runs and queues.
pub async fn old_versions(operator: &mut Operator) -> Result<Vec<OldVersion>, RunsError> {
    let flows = operator.flows().await?;
    read_old_versions(&mut operator.session.connection, operator.engine, &flows).await
}

/// Prepares the retirement of the versions that are named, and waits until they are drained if `wait` says so. Everything that
/// would keep the migration from being applied is checked before. Deletes and writes nothing.
///
/// # Errors
/// Any [`RetireError`].
pub async fn prepare(
    operator: &mut Operator,
    project: &Project,
    versions: &[String],
    wait: Wait,
    mut observe: impl FnMut(RetireEvent<'_>),
) -> Result<Retirement, RetireError> {
    let ids = versions_to_retire(&operator.flows().await?, versions)?;
    let folder = project.read_migrations()?;
    let to_delete = ids.iter().map(FlowId::database_slug).collect();
    let settings = ApplySettings { ignore: project.ignore.clone(), to_delete, ..ApplySettings::default() };
    let pending = apply::check(&mut operator.session, &folder, &settings).await?;
    let (applied, own) = folder.migrations().split_at(folder.migrations().len() - pending.len().min(1));
    let recorded = replay(applied)?;
    refuse_defined(&ids, &recorded, project, &mut observe)?;
    let deletion = Deletion::new(&ids, recorded, (applied, own), &pending, folder.clone(), project)?;
    let drained = drain::drained(operator, &ids, wait, &mut observe).await?;
    Ok(Retirement {
        runs: drained.iter().map(|version| version.ended).sum(),
        slugs: drained.into_iter().map(|version| version.slug).collect(),
        ids,
        deletion,
    })
}

impl Retirement {
    /// Deletes the ended runs, writes the migration and applies it.
    ///
    /// # Errors
    /// Any [`RetireError`]. What was deleted or written before remains; the next retirement of the same versions continues
    /// with it.
    pub async fn execute(
        self,
        operator: &mut Operator,
        project: &Project,
        mut observe: impl FnMut(RetireEvent<'_>),
    ) -> Result<Retired, RetireError> {
        // The migration locks the table of runs, so most runs are deleted beforehand.
        if operator.engine.has_operations() {
            let filter = PruneFilter { older_than: 0.0, slugs: Some(self.slugs) };
            let progress = |pruned: u64| observe(RetireEvent::Pruned(pruned));
            prune(&mut operator.session.connection, operator.engine, &filter, progress).await?;
        }
        let (folder, written) = self.deletion.write()?;
        written.into_iter().for_each(|path| observe(RetireEvent::Wrote(path)));
        let settings = ApplySettings { ignore: project.ignore.clone(), ..ApplySettings::default() };
        // Minutes may have passed since the session was opened.
        let session = Session::open(&operator.session.target).await?;
        let applying = apply(session, &folder, &settings, |progress| match progress {
            Progress::Running(_) => {}
            Progress::Applied(id, took) => observe(RetireEvent::Applied(id, took)),
        });
        let applied = applying.await?;
        Ok(Retired { applied, remaining: old_versions(operator).await? })
    }
}

/// Refuses versions that the flow files define, which the next migration would create again, and those that no migration records.
fn refuse_defined(
    ids: &[FlowId],
    recorded: &Catalog,
    project: &Project,
    observe: &mut impl FnMut(RetireEvent<'_>),
) -> Result<(), RetireError> {
    let checked = if project.flows.is_dir() { project.valid_flows()? } else { Checked::default() };
    observe(RetireEvent::Checked(&checked));
    for id in ids {
        if checked.catalog.get(&id.database_slug()).is_some() {
            return Err(CompileError::DeleteWanted(id.clone()).into());
        }
        if recorded.get(&id.database_slug()).is_none() {
            return Err(CompileError::DeleteUnknown(id.clone()).into());
        }
    }
    Ok(())
}
