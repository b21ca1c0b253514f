//! Compiling a project: the difference between its migrations and its flow files becomes new migrations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{Project, ProjectError};
use crate::catalog::{Catalog, FlowId};
use crate::check::Checked;
use crate::diff::{Change, ChangeSet, Class};
use crate::migration::{CompileSettings, Folder, FolderError, Migration, Version, compile, replay};

/// The options of a compilation.
#[derive(Debug, Clone, Default)]
pub struct CompileOptions {
    /// The version of the (first) migration; `None` for the current time, or a second after the newest migration if that is
    /// later.
    pub version: Option<Version>,
    /// The name of the migration; `None` for a name made from the changes.
    pub name: Option<String>,
    /// Flow versions to delete with their runs. None of them may be in the flow files.
    pub delete: Vec<FlowId>,
}

/// Parts of a database to recreate although the migrations record them.
#[derive(Debug, Clone, Default)]
pub struct Repairs {
    /// Flow versions whose queue is recreated, by database slug.
    pub queues: BTreeSet<String>,
    /// Flows whose triggers are recreated, by slug.
    pub triggers: BTreeSet<String>,
    /// The catalog that the migrations record, to which the database is compared.
    pub base: Option<Catalog>,
}

/// The changes since the newest migration, and the migrations that make them. Nothing is written before
/// [`Compilation::write`].
#[derive(Debug)]
pub struct Compilation {
    /// The changes; empty if the migrations are up to date.
    pub changes: ChangeSet,
    /// The new migrations: usually one, more if the changes create many flows.
    pub migrations: Vec<Migration>,
    /// The check of the flow files; its findings are warnings.
    pub checked: Checked,
    folder: Folder,
}

/// A change that recreates the steps of a flow version, which `apply` refuses if the version has runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The flow version.
    pub id: FlowId,
    /// Whether the flow files define it. If so, a new version beside it keeps the runs; if not, it can be retired instead.
    pub is_defined: bool,
}

/// Compiles a project: replays its migrations, checks its flow files, and compiles the difference. Writes nothing.
///
/// # Errors
/// If the migrations cannot be read or replayed, a flow file has an error, or the options do not fit the changes.
pub fn compile_project(project: &Project, options: &CompileOptions) -> Result<Compilation, ProjectError> {
    let folder = project.read_migrations()?;
    let checked = project.valid_flows()?;
    let recorded = replay(folder.migrations())?;
    let desired = checked.catalog.clone();
    Compilation::new(project, folder, checked, &recorded, desired, options, Repairs::default())
}

impl Compilation {
    /// Compiles the difference between `recorded` and `desired`, as the next migrations of `folder`.
    ///
    /// # Errors
    /// If the options do not fit the changes, as [`compile`].
    pub fn new(
        project: &Project,
        folder: Folder,
        checked: Checked,
        recorded: &Catalog,
        desired: Catalog,
        options: &CompileOptions,
        repairs: Repairs,
    ) -> Result<Self, ProjectError> {
        let settings = CompileSettings {
            name: options.name.clone(),
            delete: options.delete.clone(),
            without_queue: repairs.queues,
            triggers: repairs.triggers,
            files: files(&checked),
            base: repairs.base,
            ..project.compile_settings(&folder, options.version)
        };
        let compiled = compile(recorded, desired, &settings)?;
        Ok(Self { changes: compiled.changes, migrations: compiled.migrations, checked, folder })
    }

    /// The changes that recreate steps.
    pub fn replacements(&self) -> Vec<Replacement> {
        let replaced = self.changes.changes.iter().filter(|change| change.class() == Class::Replace);
        let replacement = |change: &Change| Replacement {
            id: change.id().clone(),
            is_defined: self.checked.catalog.get(&change.database_slug()).is_some(),
        };
        replaced.map(replacement).collect()
    }

    /// Adds the new migrations to the folder and returns the folder and the paths of the new files. Cleans up after a write that
    /// was interrupted earlier, also if there are no new migrations.
    ///
    /// # Errors
    /// If the folder cannot be written; it then reads as before or as after the write.
    pub fn write(mut self) -> Result<(Folder, Vec<PathBuf>), FolderError> {
        let paths = self.folder.write(self.migrations)?;
        Ok((self.folder, paths))
    }

    /// Refuses changes that no migration has.
    ///
    /// # Errors
    /// If there are any.
    pub fn require_up_to_date(&self) -> Result<(), ProjectError> {
        if self.changes.is_empty() { Ok(()) } else { Err(ProjectError::MigrationsBehind) }
    }

    /// The folder without the new migrations.
    pub fn into_folder(self) -> Folder {
        self.folder
    }
}

impl Project {
    /// The settings for the next migration of a folder. Its version is the given one, or the current time, or a second after the
    /// newest migration if that is later.
    pub fn compile_settings(&self, folder: &Folder, version: Option<Version>) -> CompileSettings {
        let last = folder.last_version();
        let now = Version::now();
        let version = version.unwrap_or_else(|| last.map_or(now, |last| now.max(last.next())));
        let (project, environment) = (self.name.clone(), self.environment.clone());
        CompileSettings { last, project, environment, ..CompileSettings::new(version) }
    }
}

/// The flow file of each database slug.
fn files(checked: &Checked) -> BTreeMap<String, String> {
    checked.origins.iter().map(|(slug, origin)| (slug.clone(), in_project(&origin.file))).collect()
}

/// The path of a file relative to the project, which is the working directory. It is the same on every machine and system,
/// unless the file is outside of the project.
fn in_project(file: &Path) -> String {
    let project = std::env::current_dir().ok();
    let relative = project.and_then(|project| file.strip_prefix(project).ok()).unwrap_or(file);
    let names = relative.components().filter(|component| *component != Component::CurDir);
    let names: Vec<_> = names.map(|component| component.as_os_str().to_string_lossy()).collect();
    names.join("/").replacen("//", "/", 1)
}
