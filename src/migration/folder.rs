//! The migrations folder: read whole, checked against its sum file, written to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::sum::{self, SUM_FILE, SumMismatch};
use super::{Migration, Version};

/// Every migration of a folder, in order.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    migrations: Vec<Migration>,
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

fn list(mismatches: &[SumMismatch]) -> String {
    mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl FolderError {
    /// The stable code, with a page in the documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "FS801",
            Self::Foreign { .. } => "FS802",
            Self::SameVersion { .. } => "FS803",
            Self::Sum(_) => "FS804",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check that the path is right and that you may read and write it",
            Self::Foreign { .. } => {
                "keep only migrations that `flowsmith compile` wrote here, others in a folder of their own"
            }
            Self::SameVersion { .. } => "delete the one that is not applied anywhere yet and compile again",
            Self::Sum(_) => {
                "bring the files back (`git checkout`); `flowsmith compile --rehash` is for after a merge, and for taking back what ran nowhere yet"
            }
        }
    }
}

impl Folder {
    /// Reads a folder and checks it against its sum file. A folder that does not exist holds no migrations.
    ///
    /// # Errors
    /// Any [`FolderError`]; nothing in the folder is passed over silently.
    pub fn read(path: &Path) -> Result<Self, FolderError> {
        let folder = Self::read_unchecked(path)?;
        let sum_path = path.join(SUM_FILE);
        let sum_text = match fs::read_to_string(&sum_path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(FolderError::Io { verb: "read", path: sum_path, source }),
        };
        let mismatches = sum::verify(&folder.migrations, &sum_text);
        if mismatches.is_empty() { Ok(folder) } else { Err(FolderError::Sum(mismatches)) }
    }

    /// Reads a folder without its sum file: for [`Folder::rehash`].
    ///
    /// # Errors
    /// Any [`FolderError`] but `Sum`.
    pub fn read_unchecked(path: &Path) -> Result<Self, FolderError> {
        let mut files = Vec::new();
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path: path.to_owned(), migrations: Vec::new() });
            }
            Err(source) => return Err(FolderError::Io { verb: "read", path: path.to_owned(), source }),
        };
        for entry in entries {
            let entry = entry.map_err(|source| FolderError::Io { verb: "read", path: path.to_owned(), source })?;
            let file = entry.path();
            if file.extension().is_some_and(|extension| extension == "sql") {
                files.push(file);
            }
        }
        files.sort();
        let migrations = files.par_iter().map(|file| read_migration(file)).collect::<Result<Vec<_>, _>>()?;
        if let Some(pair) = migrations.windows(2).find(|pair| pair[0].version == pair[1].version) {
            return Err(FolderError::SameVersion { first: pair[0].file_name(), second: pair[1].file_name() });
        }
        Ok(Self { path: path.to_owned(), migrations })
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

    /// Adds migrations, which must be newer than those there are, and brings the sum file up to date. Each file appears
    /// whole or not at all; the sum file comes last, so that an interrupted write is noticed and named.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn add(&mut self, migrations: Vec<Migration>) -> Result<(), FolderError> {
        let io_error = |verb, path: &Path, source| FolderError::Io { verb, path: path.to_owned(), source };
        fs::create_dir_all(&self.path).map_err(|source| io_error("create", &self.path, source))?;
        for migration in &migrations {
            write_whole(&self.path.join(migration.file_name()), &migration.content)?;
        }
        self.migrations.extend(migrations);
        self.rehash()
    }

    /// Writes the sum file anew from the files as they are.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn rehash(&self) -> Result<(), FolderError> {
        write_whole(&self.path.join(SUM_FILE), &sum::sum(&self.migrations))
    }
}

fn read_migration(path: &Path) -> Result<Migration, FolderError> {
    let foreign = |reason: String| FolderError::Foreign { path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(|source| FolderError::Io { verb: "read", path: path.to_owned(), source })?;
    let content = String::from_utf8(bytes).map_err(|error| foreign(format!("not UTF-8: {error}")))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Migration::from_file(&name, content).map_err(foreign)
}

fn write_whole(path: &Path, content: &str) -> Result<(), FolderError> {
    let draft = path.with_extension("tmp");
    fs::write(&draft, content).and_then(|()| fs::rename(&draft, path)).map_err(|source| FolderError::Io {
        verb: "write",
        path: path.to_owned(),
        source,
    })
}
