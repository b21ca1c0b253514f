//! The migration that deletes old versions.

use std::path::PathBuf;

use super::RetireError;
use flowsmith_core::catalog::{Catalog, FlowId};
use flowsmith_core::migration::{CompileError, CompileSettings, Compiled, Folder, Migration, Version, compile};

/// The migration that deletes old versions, and the folder that it belongs to.
#[derive(Debug)]
pub(super) struct Deletion {
    folder: Folder,
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
        applied: &[Migration],
        own: &[Migration],
        pending: &[String],
        folder: Folder,
    ) -> Result<Self, RetireError> {
        let is_written = match own {
            [] => false,
            [only] if pending == [only.id()] && is_deletion(only, ids, &recorded, applied)? => true,
            _ => return Err(RetireError::Pending(pending.to_vec())),
        };
        Ok(Self { folder, ids: ids.to_vec(), recorded, is_written })
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
        let settings = CompileSettings { delete: self.ids.clone(), ..CompileSettings::next(&self.folder, None) };
        let written = self.folder.add(deletion(&self.ids, &self.recorded, &settings)?.migrations)?;
        Ok((self.folder, written))
    }
}

/// Whether a migration is the deletion of these versions.
fn is_deletion(
    migration: &Migration,
    ids: &[FlowId],
    recorded: &Catalog,
    applied: &[Migration],
) -> Result<bool, CompileError> {
    let settings = settings(migration.version, applied, ids);
    let written = deletion(ids, recorded, &settings)?;
    Ok(written.migrations.iter().map(|migration| &migration.content).eq([&migration.content]))
}

fn settings(version: Version, applied: &[Migration], ids: &[FlowId]) -> CompileSettings {
    CompileSettings {
        version,
        name: None,
        last: applied.last().map(|migration| migration.version),
        delete: ids.to_vec(),
        without_queue: Default::default(),
        triggers: Default::default(),
        files: Default::default(),
    }
}

fn deletion(ids: &[FlowId], recorded: &Catalog, settings: &CompileSettings) -> Result<Compiled, CompileError> {
    let mut desired = recorded.clone();
    for id in ids {
        desired.remove(&id.database_slug());
    }
    compile(recorded, desired, settings)
}
