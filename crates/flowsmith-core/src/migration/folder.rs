//! The migrations folder: read whole, checked against its sum file, written to.
//!
//! A write goes: the draft of the new sum file; each migration, as a draft that is renamed; the draft renamed to the sum file. Where it
//! is cut off, the draft tells what was meant: all of it is there, or what is there of it counts for nothing.

use crate::diagnostic::{Code, Diagnostic, Kind};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::sum::{self, SUM_DRAFT, SUM_FILE, SumMismatch};
use super::{Migration, Version};

/// Every migration of a folder, in order.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    migrations: Vec<Migration>,
    /// What a write that was cut off has left: drafts, and migrations that others of it are missing to.
    left_over: Vec<PathBuf>,
    /// Whether the sum file is missing to it.
    lacks_sum: bool,
}

/// What is wrong with a migrations folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The disk's.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file whose name, encoding or first line says that flowsmith did not write it.
    #[error("{}: {reason}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is unexpected.
        reason: String,
    },
    /// Two files of one version: neither comes first.
    #[error("{first} and {second} have the same version")]
    SameVersion {
        /// A file name.
        first: String,
        /// Another.
        second: String,
    },
    /// The folder is not what its sum file says.
    #[error("the migrations folder is not what {SUM_FILE} says: {}", list(.0))]
    Sum(Vec<SumMismatch>),
}

impl Diagnostic for FolderError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::Io,
            Self::Foreign { .. } => Code::ForeignMigration,
            Self::SameVersion { .. } => Code::SameVersion,
            Self::Sum(_) => Code::SumMismatch,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Io { .. } => Kind::Failed,
            Self::Foreign { .. } | Self::SameVersion { .. } | Self::Sum(_) => Kind::Refused,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Io { .. } => "check that the path is right and that you may read and write it",
            Self::Foreign { .. } => {
                "keep only migrations that `flowsmith compile` wrote here, others in a folder of their own"
            }
            Self::SameVersion { .. } => "delete the one that is not applied anywhere yet and compile again",
            Self::Sum(_) => {
                "bring the files back (`git checkout`); `flowsmith compile --rehash` is for after a merge, and for taking back what ran nowhere yet"
            }
        };
        Some(help.to_owned())
    }
}

fn list(mismatches: &[SumMismatch]) -> String {
    mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Folder {
    /// Reads a folder and checks it against its sum file. A folder that does not exist holds no migrations. After a write that was
    /// cut off it is what it was before, or is after, that write; [`Folder::finish`] makes that so.
    ///
    /// # Errors
    /// Any [`FolderError`]; nothing in the folder is passed over silently.
    pub fn read(path: &Path) -> Result<Self, FolderError> {
        let mut folder = Self::read_unchecked(path)?;
        let mismatches = sum::verify(&folder.migrations, &read_sum(&path.join(SUM_FILE))?);
        if mismatches.is_empty() || folder.was_cut_off(&mismatches)? {
            Ok(folder)
        } else {
            Err(FolderError::Sum(mismatches))
        }
    }

    /// Whether that in which it differs from its sum file comes of a write that was cut off; leaves out then what is not all there.
    fn was_cut_off(&mut self, mismatches: &[SumMismatch]) -> Result<bool, FolderError> {
        let draft = read_sum(&self.path.join(SUM_DRAFT))?;
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

    /// Does away with what a write that was cut off has left: finishes it where only the sum file is missing, else takes it back.
    /// Nothing where there was none.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn finish(&mut self) -> Result<(), FolderError> {
        if std::mem::take(&mut self.lacks_sum) {
            self.rehash()?;
        }
        for file in self.left_over.drain(..) {
            match fs::remove_file(&file) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(FolderError::Io { verb: "remove", path: file, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads a folder without its sum file: for [`Folder::rehash`].
    ///
    /// # Errors
    /// Any [`FolderError`] but `Sum`.
    pub fn read_unchecked(path: &Path) -> Result<Self, FolderError> {
        let (mut files, mut left_over) = (Vec::new(), Vec::new());
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (migrations, left_over) = (Vec::new(), Vec::new());
                return Ok(Self { path: path.to_owned(), migrations, left_over, lacks_sum: false });
            }
            Err(source) => return Err(FolderError::Io { verb: "read", path: path.to_owned(), source }),
        };
        for entry in entries {
            let entry = entry.map_err(|source| FolderError::Io { verb: "read", path: path.to_owned(), source })?;
            let file = entry.path();
            if file.extension().is_some_and(|extension| extension == "sql") {
                files.push(file);
            } else if file.file_name().is_some_and(|name| is_draft(&name.to_string_lossy())) {
                left_over.push(file);
            }
        }
        files.sort();
        let migrations = files.par_iter().map(|file| read_migration(file)).collect::<Result<Vec<_>, _>>()?;
        if let Some(pair) = migrations.windows(2).find(|pair| pair[0].version == pair[1].version) {
            return Err(FolderError::SameVersion { first: pair[0].file_name(), second: pair[1].file_name() });
        }
        Ok(Self { path: path.to_owned(), migrations, left_over, lacks_sum: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its migrations, oldest first.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// The version of the newest migration.
    pub fn last_version(&self) -> Option<Version> {
        self.migrations.last().map(|migration| migration.version)
    }

    /// Adds migrations, which must be newer than those there are, and brings the sum file up to date. Where this is cut off, the folder
    /// reads as before or as after it.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn add(&mut self, migrations: Vec<Migration>) -> Result<Vec<PathBuf>, FolderError> {
        fs::create_dir_all(&self.path).map_err(|source| FolderError::Io {
            verb: "create",
            path: self.path.clone(),
            source,
        })?;
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

    /// Writes the sum file anew from the files as they are.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn rehash(&self) -> Result<(), FolderError> {
        let path = self.path.join(SUM_FILE);
        write_draft(&path, &sum::sum(&self.migrations))?;
        rename_draft(&path)
    }
}

fn read_migration(path: &Path) -> Result<Migration, FolderError> {
    let foreign = |reason: String| FolderError::Foreign { path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(|source| FolderError::Io { verb: "read", path: path.to_owned(), source })?;
    let content = String::from_utf8(bytes).map_err(|error| foreign(format!("not UTF-8: {error}")))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Migration::from_file(&name, content).map_err(foreign)
}

/// A sum file's text; of one that is not there, nothing.
fn read_sum(path: &Path) -> Result<String, FolderError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(FolderError::Io { verb: "read", path: path.to_owned(), source }),
    }
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
    let path = draft(path);
    fs::write(&path, content).map_err(|source| FolderError::Io { verb: "write", path, source })
}

fn rename_draft(path: &Path) -> Result<(), FolderError> {
    fs::rename(draft(path), path).map_err(|source| FolderError::Io { verb: "write", path: path.to_owned(), source })
}
