//! A project: its flow files, its migrations and the settings to check them with.

mod compilation;

pub use compilation::{Compilation, CompileOptions, Repairs, Replacement, compile_project};

use std::path::{Path, PathBuf};

use crate::catalog::Ignore;
use crate::check::{CheckSettings, Checked, check, check_files};
use crate::diagnostic::{Code, Diagnostic, Kind};
use crate::level::Level;
use crate::migration::{CompileError, Edits, Folder, FolderError, ReplayError};
use crate::source::Sources;

/// The files of a project and the settings that apply to them. Paths are relative to the working directory.
#[derive(Debug, Clone)]
pub struct Project {
    /// The name of the project, which its migrations carry.
    pub name: String,
    /// Folder of the flow files.
    pub flows: PathBuf,
    /// Folder of the migrations.
    pub migrations: PathBuf,
    /// The engine level that the flows must work with; `None` for the level of the database.
    pub engine: Option<Level>,
    /// The environment whose overrides apply; `None` for the flows without overrides.
    pub environment: Option<String>,
    /// Whether the settings declare the environment, so that no flow file has to.
    pub environment_is_known: bool,
    /// Live flows that the project does not manage.
    pub ignore: Ignore,
    /// Whether migrations are accepted whose files are not as compiled.
    pub edits: Edits,
}

impl Project {
    /// The flow files.
    pub fn sources(&self) -> Sources {
        Sources::Folder { root: PathBuf::from("."), flows: self.flows.clone() }
    }

    /// The settings of a check of this project.
    pub fn check_settings(&self) -> CheckSettings {
        CheckSettings {
            engine: self.engine,
            environment: self.environment.clone(),
            environment_is_known: self.environment_is_known,
        }
    }

    /// Checks every flow file. The result may have errors; [`Project::valid_flows`] refuses those.
    pub fn check(&self) -> Checked {
        check(&self.sources(), &self.check_settings())
    }

    /// Checks these files, or every flow file if the list is empty. The result may have errors.
    ///
    /// # Errors
    /// If the list is empty and the project has no folder of flow files.
    pub fn check_files(&self, files: &[PathBuf]) -> Result<Checked, ProjectError> {
        if files.is_empty() {
            self.require_flows()?;
            return Ok(self.check());
        }
        Ok(check_files(files, &self.sources(), &self.check_settings()))
    }

    /// Checks every flow file for a use case that needs valid ones.
    ///
    /// # Errors
    /// If the project has no folder of flow files, or a finding is an error.
    pub fn valid_flows(&self) -> Result<Checked, ProjectError> {
        self.require_flows()?;
        accept(self.check())
    }

    /// Refuses a project without a folder of flow files: it is a mistake, not an empty project, whose recorded flows would all
    /// be retired.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn require_flows(&self) -> Result<(), ProjectError> {
        if self.flows.is_dir() { Ok(()) } else { Err(ProjectError::NoFlowsFolder(self.flows.clone())) }
    }

    /// Reads the migrations, compares them with their sum file, and checks that they are as compiled, unless edits are accepted.
    ///
    /// # Errors
    /// As [`Folder::read`].
    pub fn read_migrations(&self) -> Result<Folder, FolderError> {
        match self.edits {
            Edits::Refused => Folder::read(&self.migrations),
            Edits::Accepted => Folder::read_edited(&self.migrations),
        }
    }

    /// Rewrites the sum file from the migrations as they are, and returns the folder and the path of the file. Migrations that
    /// are not as compiled, or that cannot be replayed, are refused: a new sum must not make them legitimate.
    ///
    /// # Errors
    /// If the folder cannot be read or written, or a migration cannot be replayed or is not as compiled.
    pub fn rehash(&self) -> Result<(Folder, PathBuf), ProjectError> {
        let mut folder = Folder::read_unchecked(&self.migrations)?;
        folder.verify(self.edits)?;
        crate::migration::replay(folder.migrations())?;
        folder.rehash()?;
        Ok((folder, self.migrations.join(crate::migration::SUM_FILE)))
    }

    /// The path of a flow file by its name in the folder.
    pub fn flow_file(&self, name: &Path) -> PathBuf {
        self.flows.join(name)
    }
}

/// Passes a check on if no finding is an error.
///
/// # Errors
/// If a finding is an error.
pub fn accept(checked: Checked) -> Result<Checked, ProjectError> {
    if checked.has_errors() { Err(ProjectError::InvalidFlows(Box::new(checked))) } else { Ok(checked) }
}

/// A problem with the files of a project.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// The folder of flow files does not exist.
    #[error("the folder {} does not exist", .0.display())]
    NoFlowsFolder(PathBuf),
    /// Flow files have errors.
    #[error("the flow files have errors")]
    InvalidFlows(Box<Checked>),
    /// The migrations cannot be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A migration cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The changes cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The flow files have changes that no migration has.
    #[error("the migrations are behind the flow files")]
    MigrationsBehind,
}

impl ProjectError {
    /// The check whose findings are the error.
    pub fn findings(&self) -> Option<&Checked> {
        match self {
            Self::InvalidFlows(checked) => Some(checked),
            _ => None,
        }
    }
}

impl Diagnostic for ProjectError {
    fn code(&self) -> Code {
        match self {
            Self::NoFlowsFolder(_) => Code::NoFlowsFolder,
            Self::InvalidFlows(checked) => {
                let error = checked.findings.iter().find(|finding| finding.is_error());
                error.map_or(Code::Unreadable, |finding| finding.code)
            }
            Self::Folder(error) => error.code(),
            Self::Replay(error) => error.code(),
            Self::Compile(error) => error.code(),
            Self::MigrationsBehind => Code::MigrationsBehind,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoFlowsFolder(_) => Kind::Failed,
            Self::InvalidFlows(_) => Kind::Invalid,
            Self::Folder(error) => error.kind(),
            Self::Replay(error) => error.kind(),
            Self::Compile(error) => error.kind(),
            Self::MigrationsBehind => Kind::Pending,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::NoFlowsFolder(_) => Some(
                "run `flowsmith init` to create a project, or pass the folder of the flow files with --flows"
                    .to_owned(),
            ),
            Self::InvalidFlows(_) => Some("fix the findings".to_owned()),
            Self::Folder(error) => error.help(),
            Self::Replay(error) => error.help(),
            Self::Compile(error) => error.help(),
            Self::MigrationsBehind => Some("run `flowsmith compile` and commit the migration".to_owned()),
        }
    }
}
