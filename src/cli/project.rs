//! The project with its settings: from the file, then the environment variables, then the flags.

use std::path::{Path, PathBuf};

use flowsmith_core::catalog::Ignore;
use flowsmith_core::config::{Config, ConfigError};
use flowsmith_core::diagnostic::Code;
use flowsmith_core::migration::Edits;
use flowsmith_core::project::Project as Files;

use super::args::Global;
use super::exit::{Exit, Failure};

/// The project with its settings, and the database that they name.
#[derive(Clone)]
pub(crate) struct Project {
    /// The files of the project.
    pub(crate) files: Files,
    /// The database URL, if there is one; or the name of the environment's variable that should hold it and is not set.
    database: Result<Option<String>, String>,
    pub(crate) postgres_bin: Option<PathBuf>,
}

impl Project {
    pub(crate) fn open(global: &Global, edits: Edits) -> Result<Self, Failure> {
        let config = Config::read(global.config.as_deref())?;
        let engine = match global.engine.as_deref() {
            None => config.engine,
            Some("auto") => None,
            Some(level) => Some(level.parse().map_err(|error: String| Failure::usage(error, "or auto, the default"))?),
        };
        let environment_is_known = known_environment(global, &config)?;
        Ok(Self {
            database: database(global, &config),
            files: Files {
                name: config.project,
                flows: global.flows.clone().unwrap_or(config.flows),
                migrations: global.migrations.clone().unwrap_or(config.migrations),
                engine,
                environment: global.environment.clone(),
                environment_is_known,
                ignore: Ignore::new(config.ignore),
                edits,
            },
            postgres_bin: global.postgres_bin.clone(),
        })
    }

    /// The database URL, if there is one. An environment has the URL of its settings, unless a flag gives another. An environment
    /// that the settings do not declare has none: `DATABASE_URL` and the embedded server belong to no environment. With a URL
    /// given as a flag, it is enough that flow files have overrides for the environment.
    pub(crate) fn database(&self) -> Result<Option<&str>, Failure> {
        if let Some(name) = self.files.environment.as_ref().filter(|_| !self.files.environment_is_known) {
            let known = self.files.check().environments;
            if matches!(self.database, Ok(None)) || !known.contains(name) {
                return Err(ConfigError::UnknownEnvironment { name: name.clone(), known, is_configured: false }.into());
            }
        }
        self.database.as_ref().map(Option::as_deref).map_err(|variable| {
            Failure::new(
                Exit::Usage,
                Code::DatabaseUrlUnset,
                format!("the variable {variable}, which holds this environment's database URL, is not set"),
                format!("export {variable}=postgres://USER:PASSWORD@HOST:PORT/DATABASE"),
            )
        })
    }

    /// The folder of the embedded server, which is outside of the project.
    pub(crate) fn server_folder(&self) -> Result<PathBuf, Failure> {
        flowsmith_devserver::project_folder(Path::new(".")).map_err(Failure::server)
    }
}

/// Whether the settings declare the requested environment. An undeclared environment is an error if the settings declare others.
/// If they declare none, flow files may have overrides for it, which can be checked and compiled.
fn known_environment(global: &Global, config: &Config) -> Result<bool, Failure> {
    let Some(name) = &global.environment else { return Ok(false) };
    let known = config.environments.contains_key(name);
    if known || config.environments.is_empty() {
        return Ok(known);
    }
    let known = config.environments.keys().cloned().collect();
    Err(ConfigError::UnknownEnvironment { name: name.clone(), known, is_configured: true }.into())
}

/// The URL of the flag; otherwise the variable of the requested environment, because `--env production` must not connect to an
/// exported `DATABASE_URL`; otherwise `DATABASE_URL`. Returns the name of the environment's variable as an error if it is not set:
/// only commands that connect report it, because a machine that compiles does not need the secret.
fn database(global: &Global, config: &Config) -> Result<Option<String>, String> {
    if global.database.is_some() {
        return Ok(global.database.clone());
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(environment) = global.environment.as_ref() {
        let Some(environment) = config.environments.get(environment) else { return Ok(None) };
        let name = &environment.database_url_env;
        return variable(name).map(Some).ok_or_else(|| name.clone());
    }
    Ok(variable("DATABASE_URL"))
}
