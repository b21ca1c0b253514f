//! The database of a command: the given one, or the embedded server of the project.

use flowsmith_core::diagnostic::Code;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use flowsmith::report::Subject;
use flowsmith_devserver::{Lifetime, Server};
use flowsmith_postgres::database::Target;
use flowsmith_postgres::engine::Level;
use flowsmith_postgres::engine::detect::{Detection, EngineKind, EngineState, PgmqState, detect};
use flowsmith_postgres::engine::install::INCOMPLETE_HELP;
use flowsmith_postgres::live::LiveShape;
use sqlx::postgres::PgConnection;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::project::Project;

/// The database of the embedded server.
pub(crate) const EMBEDDED_DATABASE: &str = "flowsmith";

/// The address of the database.
pub(crate) struct Place {
    pub(crate) target: Target,
}

impl Place {
    /// The given database, otherwise the embedded one that `up` created.
    pub(crate) fn find(project: &Project, output: &Output) -> Result<Self, Failure> {
        if let Some(url) = project.database()? {
            return Ok(Self { target: url.parse()? });
        }
        if !project.server_folder().exists() {
            return Err(Failure::new(
                Exit::Usage,
                Code::NoDatabase,
                "no database is configured",
                "pass --database, set DATABASE_URL, or run `flowsmith up` to create an embedded database",
            ));
        }
        let server = start(project, output)?;
        if server.started_here() {
            output.message("Started the project's PostgreSQL; it runs until `flowsmith down`.");
        }
        Ok(Self::embedded(&server))
    }

    /// The database of the embedded server.
    pub(crate) fn embedded(server: &Server) -> Self {
        let target = Target::new(server.connect_options(EMBEDDED_DATABASE)).with_socket_finder(server.socket_finder());
        Self { target }
    }

    /// Connects and detects the engine.
    pub(crate) async fn open(&self) -> Result<Session, Failure> {
        let mut connection = self.target.connect().await?;
        let detection = detect(&mut connection).await?;
        Ok(Session { connection, detection, database: self.target.to_string() })
    }
}

/// Starts the embedded server of the project, or uses the running one. It keeps running after this command, because other
/// commands may use it by then.
pub(crate) fn start(project: &Project, output: &Output) -> Result<Server, Failure> {
    let folder = project.server_folder();
    let settings = flowsmith_devserver::Settings {
        binaries: project.postgres_bin.clone(),
        major: Server::data_major(folder),
        ..flowsmith_devserver::Settings::default()
    };
    let binaries = flowsmith_devserver::provide(&settings, &|text| output.message(text)).map_err(Failure::server)?;
    output.detail(&format!("PostgreSQL {} from {}", binaries.version, binaries.dir.display()));
    if settings.major.is_none() && io::stderr().is_terminal() {
        output.message("Creating the project's PostgreSQL server; this takes a few seconds.");
    }
    let server = Server::start(&binaries, folder, flowsmith_devserver::Durability::Durable, Lifetime::Detached)
        .map_err(Failure::server)?;
    ignore_in_git(folder);
    Ok(server)
}

/// Keeps the server's data out of git. Errors are ignored, because nothing depends on this file.
fn ignore_in_git(folder: &Path) {
    if let Some(parent) = folder.parent().filter(|parent| !parent.join(".gitignore").exists()) {
        let _ = std::fs::write(parent.join(".gitignore"), "*\n");
    }
}

/// An open connection and the detected engine.
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    pub(crate) detection: Detection,
    pub(crate) database: String,
}

impl Session {
    /// The level of the engine.
    pub(crate) fn level(&self) -> Result<Level, Failure> {
        match &self.detection.engine {
            EngineState::Present { .. } if self.detection.pgmq == PgmqState::Missing => Err(Failure::new(
                Exit::Failed,
                Code::EngineMissing,
                format!("{} has no pgmq, which the engine's queues require", self.database),
                "run `flowsmith install`",
            )),
            EngineState::Present { level, .. } => Ok(*level),
            EngineState::Missing => Err(Failure::new(
                Exit::Failed,
                Code::EngineMissing,
                format!("{} has no workflow engine", self.database),
                "run `flowsmith install`",
            )),
            EngineState::Incomplete { closest, lacks, .. } => Err(Failure::new(
                Exit::Failed,
                Code::EngineIncomplete,
                format!(
                    "{} has an incomplete engine: level {closest} without {}{}",
                    self.database,
                    lacks.iter().take(3).cloned().collect::<Vec<_>>().join(", "),
                    if lacks.len() > 3 { format!(" and {} more", lacks.len() - 3) } else { String::new() }
                ),
                INCOMPLETE_HELP,
            )),
        }
    }

    /// The readable parts of the database.
    pub(crate) fn shape(&self) -> Result<LiveShape, Failure> {
        Ok(LiveShape {
            conditions: self.level()?.has_conditions(),
            ledger: self.detection.has_flowsmith_schema,
            triggers: self.detection.may_read_triggers == Some(true),
        })
    }

    /// Warns if this role may not read the active triggers, so that a report says nothing about them.
    pub(crate) fn note_unseen_triggers(&self, output: &Output) {
        if self.detection.may_read_triggers == Some(false) {
            let care = anstyle::AnsiColor::Yellow.on_default().bold();
            output.message(&format!(
                "{care}warning{care:#}: triggers were not compared: this role lacks privileges on flowsmith.triggers, flowsmith.trigger_differences(text[]) or another function (see docs/triggers.md)"
            ));
        }
    }

    /// The subject in the first line of a report.
    pub(crate) fn subject(&self) -> Subject {
        let engine = match &self.detection.engine {
            EngineState::Present { level, kind: EngineKind::Official, .. } => format!("engine {level}, pgflow's"),
            EngineState::Present { level, kind: EngineKind::Flowsmith { .. }, .. } => {
                format!("engine {level}, flowsmith's")
            }
            EngineState::Missing => "no engine".to_owned(),
            EngineState::Incomplete { .. } => "incomplete engine".to_owned(),
        };
        Subject { database: self.database.clone(), engine }
    }
}
