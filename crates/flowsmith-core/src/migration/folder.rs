//! The migrations folder.
//!
//! A write consists of these steps: write the new sum file as a draft, write each migration as a draft and rename it, rename
//! the draft of the sum file. If a write is interrupted, the draft of the sum file lists the intended migrations: either all of
//! them exist and the write is completed, or those that exist are ignored.

use crate::diagnostic::{Code, Diagnostic, Kind};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::sum::{self, SUM_DRAFT, SUM_FILE, SumMismatch};
use super::{Migration, ReplayError, Version, verify};
use crate::file::{EntryKind, FileError, MAX_MIGRATION_BYTES, MAX_SUM_BYTES, Root};

/// The migrations of a folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    migrations: Vec<Migration>,
    /// The files left behind by an interrupted write: drafts, and migrations of an incomplete set.
    left_over: Vec<PathBuf>,
    /// Whether an interrupted write is complete except for the sum file.
    lacks_sum: bool,
    /// The migrations that were accepted although their files are not as compiled, by id.
    edited: Vec<(String, ReplayError)>,
}

/// What happens to migrations whose files are not as compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edits {
    /// They are refused.
    #[default]
    Refused,
    /// They are accepted and listed.
    Accepted,
}

/// The reason why a migrations folder cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that flowsmith did not write, judging by its name or encoding.
    #[error("{}: {reason}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// Two files have the same version, so their order is undefined.
    #[error("{first} and {second} have the same version")]
    SameVersion {
        /// A file name.
        first: String,
        /// The other file name.
        second: String,
    },
    /// The folder does not match its sum file.
    #[error("the migrations folder does not match {SUM_FILE}: {}", list(.0))]
    Sum(Vec<SumMismatch>),
    /// A migration is not as compiled, or cannot be read.
    #[error(transparent)]
    Migration(#[from] ReplayError),
}

impl Diagnostic for FolderError {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::Foreign { .. } => Code::ForeignMigration,
            Self::SameVersion { .. } => Code::SameVersion,
            Self::Sum(_) => Code::SumMismatch,
            Self::Migration(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::File(error) => error.kind(),
            Self::Foreign { .. } | Self::SameVersion { .. } | Self::Sum(_) => Kind::Refused,
            Self::Migration(error) => error.kind(),
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::File(error) => return error.help(),
            Self::Foreign { .. } => "move files that `flowsmith compile` did not write to another folder",
            Self::SameVersion { .. } => {
                "delete the migration that is not applied to any database, and run `flowsmith compile`"
            }
            Self::Sum(_) => {
                "restore the files (`git checkout`); after a merge, or after removing a migration that is not applied to any database, run `flowsmith compile --rehash`"
            }
            Self::Migration(error) => return error.help(),
        };
        Some(help.to_owned())
    }
}

fn list(mismatches: &[SumMismatch]) -> String {
    mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Folder {
    /// Reads a folder and checks it: its sum file, and that each migration is as its plan renders it. A folder that does not
    /// exist has no migrations. After an interrupted write, the result is the state before or after that write;
    /// [`Folder::finish`] cleans up the files.
    ///
    /// # Errors
    /// Any [`FolderError`].
    pub fn read(path: &Path) -> Result<Self, FolderError> {
        let mut folder = Self::read_summed(path)?;
        folder.verify(Edits::Refused)?;
        Ok(folder)
    }

    /// Reads a folder as [`Folder::read`] does, but accepts edited migrations; [`Folder::edited`] lists them.
    ///
    /// # Errors
    /// Any [`FolderError`].
    pub fn read_edited(path: &Path) -> Result<Self, FolderError> {
        let mut folder = Self::read_summed(path)?;
        folder.verify(Edits::Accepted)?;
        Ok(folder)
    }

    /// Checks that each migration is as its plan renders it.
    ///
    /// # Errors
    /// The first migration that is not, or that cannot be read. Accepted edits are no errors; [`Folder::edited`] lists them.
    pub fn verify(&mut self, edits: Edits) -> Result<(), FolderError> {
        let verified: Vec<_> = self.migrations.par_iter().map(verify).collect();
        self.edited.clear();
        for (migration, verified) in self.migrations.iter().zip(verified) {
            match verified {
                Err(edit) if edits == Edits::Accepted && edit.kind() == Kind::Refused => {
                    self.edited.push((migration.id(), edit));
                }
                verified => verified?,
            }
        }
        Ok(())
    }

    /// The migrations that were accepted although their files are not as compiled, by id.
    pub fn edited(&self) -> &[(String, ReplayError)] {
        &self.edited
    }

    fn read_summed(path: &Path) -> Result<Self, FolderError> {
        let mut folder = Self::read_unchecked(path)?;
        let mismatches = sum::verify(&folder.migrations, &read_sum(&path.join(SUM_FILE))?);
        if mismatches.is_empty() || folder.was_cut_off(&mismatches)? {
            Ok(folder)
        } else {
            Err(FolderError::Sum(mismatches))
        }
    }

    /// Whether the mismatches result from an interrupted write. If so, removes the migrations of an incomplete set.
    fn was_cut_off(&mut self, mismatches: &[SumMismatch]) -> Result<bool, FolderError> {
        let draft = read_sum(&self.path.join(SUM_DRAFT))?;
        if draft.is_empty() {
            return Ok(false);
        }
        let lacking = sum::verify(&self.migrations, &draft);
        if lacking.is_empty() {
            self.lacks_sum = true;
            return Ok(true);
        }
        let added =
            |name: &str| mismatches.iter().any(|mismatch| matches!(mismatch, SumMismatch::Added(file) if file == name));
        if !lacking.iter().all(|mismatch| matches!(mismatch, SumMismatch::Removed(_)))
            || !mismatches.iter().all(|mismatch| matches!(mismatch, SumMismatch::Added(_)))
        {
            return Ok(false);
        }
        let left = self.migrations.extract_if(.., |migration| added(&migration.file_name()));
        self.left_over.extend(left.map(|migration| self.path.join(migration.file_name())));
        Ok(true)
    }

    /// Cleans up after an interrupted write, if there was one: completes it if only the sum file is missing, and undoes it
    /// otherwise.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn finish(&mut self) -> Result<(), FolderError> {
        if std::mem::take(&mut self.lacks_sum) {
            self.rehash()?;
        }
        for file in self.left_over.drain(..) {
            let (root, name) = rooted(&file);
            root.remove(&name)?;
        }
        Ok(())
    }

    /// Reads a folder without checking its sum file and its migrations, for [`Folder::rehash`].
    ///
    /// # Errors
    /// Any [`FolderError`] except [`FolderError::Sum`] and [`FolderError::Migration`].
    pub fn read_unchecked(path: &Path) -> Result<Self, FolderError> {
        let (mut files, mut left_over) = (Vec::new(), Vec::new());
        let (root, folder) = Root::of_folder(path);
        let entries = match root.list(&folder) {
            Ok(entries) => entries,
            Err(error) if error.is_missing() => {
                return Ok(Self::of(path, Vec::new(), Vec::new()));
            }
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let file = path.join(&entry.name);
            if file.extension().is_some_and(|extension| extension == "sql") {
                files.push(file);
            } else if entry.kind != EntryKind::Folder && is_draft(&entry.name.to_string_lossy()) {
                left_over.push(file);
            }
        }
        files.sort();
        let migrations = files.par_iter().map(|file| read_migration(file)).collect::<Result<Vec<_>, _>>()?;
        if let Some(pair) = migrations.windows(2).find(|pair| pair[0].version == pair[1].version) {
            return Err(FolderError::SameVersion { first: pair[0].file_name(), second: pair[1].file_name() });
        }
        Ok(Self::of(path, migrations, left_over))
    }

    fn of(path: &Path, migrations: Vec<Migration>, left_over: Vec<PathBuf>) -> Self {
        Self { path: path.to_owned(), migrations, left_over, lacks_sum: false, edited: Vec::new() }
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The migrations, oldest first.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// The version of the newest migration.
    pub fn last_version(&self) -> Option<Version> {
        self.migrations.last().map(|migration| migration.version)
    }

    /// Adds migrations, which must be newer than the existing ones, and updates the sum file. If this is interrupted, the folder
    /// reads as before or as after the change.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn add(&mut self, migrations: Vec<Migration>) -> Result<Vec<PathBuf>, FolderError> {
        let (root, folder) = Root::of_folder(&self.path);
        root.create_folder(&folder)?;
        self.finish()?;
        let before = self.migrations.len();
        self.migrations.extend(migrations);
        let sum = self.path.join(SUM_FILE);
        write_draft(&sum, &sum::sum(&self.migrations))?;
        let mut files = Vec::new();
        for migration in &self.migrations[before..] {
            let file = self.path.join(migration.file_name());
            write_draft(&file, &migration.content)?;
            rename_draft(&file)?;
            files.push(file);
        }
        rename_draft(&sum)?;
        Ok(files)
    }

    /// Adds migrations as [`Folder::add`] does. Without migrations it only cleans up, as
    /// [`Folder::finish`] does.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write(&mut self, migrations: Vec<Migration>) -> Result<Vec<PathBuf>, FolderError> {
        if !migrations.is_empty() {
            return self.add(migrations);
        }
        self.finish()?;
        Ok(Vec::new())
    }

    /// Rewrites the sum file from the migrations.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn rehash(&self) -> Result<(), FolderError> {
        let path = self.path.join(SUM_FILE);
        write_draft(&path, &sum::sum(&self.migrations))?;
        rename_draft(&path)
    }
}

fn read_migration(path: &Path) -> Result<Migration, FolderError> {
    let foreign = |reason: String| FolderError::Foreign { path: path.to_owned(), reason };
    let (root, file) = rooted(path);
    let content = root.read_text(&file, MAX_MIGRATION_BYTES).map_err(|error| match error {
        FileError::NotUtf8 { offset, byte, .. } => foreign(format!("not UTF-8: byte 0x{byte:02x} at offset {offset}")),
        error => error.into(),
    })?;
    let name = path.file_name().unwrap_or_default();
    let Some(name) = name.to_str().filter(|name| !name.chars().any(char::is_control)) else {
        return Err(foreign("the file name is not UTF-8, or contains control characters".to_owned()));
    };
    Migration::from_file(name, content).map_err(foreign)
}

/// Reads a sum file; a missing one is empty.
fn read_sum(path: &Path) -> Result<String, FolderError> {
    let (root, file) = rooted(path);
    match root.read_text(&file, MAX_SUM_BYTES) {
        Ok(text) => Ok(text),
        Err(error) if error.is_missing() => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// The root of a file in the folder, and its name in the root. The root is that of the folder.
fn rooted(file: &Path) -> (Root, PathBuf) {
    let (root, folder) = Root::of_folder(file.parent().unwrap_or(Path::new(".")));
    (root, folder.join(file.file_name().unwrap_or_default()))
}

fn is_draft(name: &str) -> bool {
    name == SUM_DRAFT || name.strip_suffix(".tmp").is_some_and(|file| file.ends_with(".sql"))
}

fn draft(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

fn write_draft(path: &Path, content: &str) -> Result<(), FolderError> {
    let (root, file) = rooted(&draft(path));
    Ok(root.write_draft(&file, content)?)
}

fn rename_draft(path: &Path) -> Result<(), FolderError> {
    let (root, file) = rooted(path);
    Ok(root.rename(&draft(&file), &file)?)
}
