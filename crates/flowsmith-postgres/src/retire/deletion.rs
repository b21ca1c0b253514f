//! The migration that deletes old versions.

use std::path::PathBuf;

use super::RetireError;
use flowsmith_core::catalog::{Catalog, FlowId};
use flowsmith_core::migration::{CompileError, CompileSettings, Compiled, Folder, Migration, compile};
use flowsmith_core::project::Project;

/// The migration that deletes old versions, and the folder that it belongs to.
#[derive(Debug)]
pub(super) struct Deletion {
    folder: Folder,
    project: Project,
    ids: Vec<FlowId>,
    recorded: Catalog,
    /// Whether an interrupted retirement has written the migration already.
    is_written: bool,
}

impl Deletion {
    /// The deletion of these versions from the catalog that the `applied` migrations record. The only `pending` migration may be
    /// the deletion itself, `own`, which an interrupted retirement has written.
    ///
    /// # Errors
    /// If other migrations are pending.
    pub(super) fn new(
        ids: &[FlowId],
        recorded: Catalog,
        (applied, own): (&[Migration], &[Migration]),
        pending: &[String],
        folder: Folder,
        project: &Project,
    ) -> Result<Self, RetireError> {
        let last = applied.last().map(|migration| migration.version);
        let is_own = |only: &Migration| {
            let settings = project.compile_settings(&folder, Some(only.version));
            is_deletion(only, ids, &recorded, CompileSettings { last, ..settings })
        };
        let is_written = match own {
            [] => false,
            [only] if pending == [only.id()] && is_own(only)? => true,
            _ => return Err(RetireError::Pending(pending.to_vec())),
        };
        Ok(Self { folder, project: project.clone(), ids: ids.to_vec(), recorded, is_written })
    }

    /// Compiles and writes the migration, unless it is written already. Its version is the time of the call: hours may have
    /// passed since [`Deletion::new`].
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub(super) fn write(mut self) -> Result<(Folder, Vec<PathBuf>), RetireError> {
        if self.is_written {
            return Ok((self.folder, Vec::new()));
        }
        let settings = self.project.compile_settings(&self.folder, None);
        let written = self.folder.add(deletion(&self.ids, &self.recorded, settings)?.migrations)?;
        Ok((self.folder, written))
    }
}

/// Whether a migration is the deletion of these versions.
fn is_deletion(
    migration: &Migration,
    ids: &[FlowId],
    recorded: &Catalog,
    settings: CompileSettings,
) -> Result<bool, CompileError> {
    let written = deletion(ids, recorded, settings)?;
    Ok(written.migrations.iter().map(|migration| &migration.content).eq([&migration.content]))
}

fn deletion(ids: &[FlowId], recorded: &Catalog, settings: CompileSettings) -> Result<Compiled, CompileError> {
    let settings = CompileSettings { delete: ids.to_vec(), ..settings };
    let mut desired = recorded.clone();
    for id in ids {
        desired.remove(&id.database_slug());
    }
    compile(recorded, desired, &settings)
}
