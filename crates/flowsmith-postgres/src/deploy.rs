//! Deploying: installs the engine and applies the migrations of a project.

use std::time::Duration;

use crate::apply::{Applied, ApplyError, ApplySettings, Progress, apply};
use crate::database::Target;
use crate::engine::install::{EngineAction, InputStyle, InstallError, InstallReport, install};
use crate::session::{Session, SessionError};
use flowsmith_core::catalog::Ignore;
use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use flowsmith_core::migration::Folder;

/// Progress of a deployment.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeployEvent<'a> {
    /// The engine was installed or upgraded, or was up to date.
    Installed(&'a InstallReport),
    /// The database was opened with its engine, to apply migrations.
    Opened(&'a Session),
    /// A migration was applied. It stays applied whatever fails later.
    Applied(&'a str, Duration),
}

/// The result of a deployment.
#[derive(Debug)]
pub struct Deployed {
    /// The migrations that were applied.
    pub applied: Applied,
    /// Whether the engine or a flow has changed.
    pub has_changed: bool,
}

/// Installs the engine or upgrades it, then applies the pending migrations of a folder.
///
/// # Errors
/// If the database cannot be reached, the engine cannot be installed, or a migration cannot be applied. What was done before
/// the error remains.
pub async fn deploy(
    target: &Target,
    folder: &Folder,
    ignore: &Ignore,
    mut observe: impl FnMut(DeployEvent<'_>),
) -> Result<Deployed, DeployError> {
    let report = install(target.options(), InputStyle::default()).await?;
    observe(DeployEvent::Installed(&report));
    let session = Session::open(target).await?;
    observe(DeployEvent::Opened(&session));
    let settings = ApplySettings { ignore: ignore.clone(), ..ApplySettings::default() };
    let applying = apply(session, folder, &settings, |progress| match progress {
        Progress::Running(_) => {}
        Progress::Applied(id, took) => observe(DeployEvent::Applied(id, took)),
    });
    let applied = applying.await?;
    let has_changed = !applied.migrations.is_empty() || !matches!(report.engine, EngineAction::UpToDate(_));
    Ok(Deployed { applied, has_changed })
}

/// Why a deployment stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The engine could not be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The database could not be opened.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A migration could not be applied.
    #[error(transparent)]
    Apply(Box<ApplyError>),
}

impl From<ApplyError> for DeployError {
    fn from(error: ApplyError) -> Self {
        Self::Apply(Box::new(error))
    }
}

impl Diagnostic for DeployError {
    fn code(&self) -> Code {
        match self {
            Self::Install(error) => error.code(),
            Self::Session(error) => error.code(),
            Self::Apply(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Install(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::Apply(error) => error.kind(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Install(error) => error.help(),
            Self::Session(error) => error.help(),
            Self::Apply(error) => error.help(),
        }
    }
}
