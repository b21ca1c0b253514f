//! The database to work with: the one that is named, or the embedded one of the project.

use std::io::{self, IsTerminal as _};

use flowsmith::report::Subject;
use flowsmith_core::diagnostic::Code;
use flowsmith_devserver::{Lifetime, Server};
use flowsmith_postgres::database::Target;
use flowsmith_postgres::engine::detect::{EngineKind, EngineState};
use flowsmith_postgres::session::Session;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::project::Project;

/// The name of the database on the embedded server.
pub(crate) const EMBEDDED_DATABASE: &str = "flowsmith";

/// The resolved database.
pub(crate) struct Database {
    pub(crate) target: Target,
}

impl Database {
    /// The database that is named, or the embedded one if `up` has created it. Starts the embedded server if it is stopped.
    pub(crate) fn resolve(project: &Project, output: &Output) -> Result<Self, Failure> {
        if let Some(url) = project.database()? {
            return Ok(Self { target: url.parse()? });
        }
        if !project.server_folder()?.exists() {
            return Err(Failure::new(
                Exit::Usage,
                Code::NoDatabase,
                "no database is configured",
                "pass --database, set DATABASE_URL, or run `flowsmith up` to create an embedded database",
            ));
        }
        let server = start_server(project, output)?;
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

    /// Connects, and detects the engine.
    pub(crate) async fn open(&self) -> Result<Session, Failure> {
        Ok(Session::open(&self.target).await?)
    }
}

/// Resolves the database, connects, and detects the engine.
pub(crate) async fn open(project: &Project, output: &Output) -> Result<Session, Failure> {
    Database::resolve(project, output)?.open().await
}

/// Starts the embedded server of the project, or returns the running one. It continues to run after this command, because others
/// may be using it by then.
pub(crate) fn start_server(project: &Project, output: &Output) -> Result<Server, Failure> {
    let folder = &project.server_folder()?;
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
    Server::start(&binaries, folder, flowsmith_devserver::Durability::Durable, Lifetime::Detached)
        .map_err(Failure::server)
}

/// The subject of a report about this database.
pub(crate) fn subject(session: &Session) -> Subject {
    let engine = match &session.detection.engine {
        EngineState::Present { level, kind: EngineKind::Official, .. } => format!("engine {level}, pgflow's"),
        EngineState::Present { level, kind: EngineKind::Flowsmith { .. }, .. } => {
            format!("engine {level}, flowsmith's")
        }
        EngineState::Missing => "no engine".to_owned(),
        EngineState::Incomplete { .. } => "incomplete engine".to_owned(),
    };
    Subject { database: session.database.clone(), engine }
}

/// Warns that triggers are left out of the comparison if the role may not read them.
pub(crate) fn warn_of_hidden_triggers(session: &Session, output: &Output) {
    if session.hides_triggers() {
        let care = anstyle::AnsiColor::Yellow.on_default().bold();
        output.message(&format!(
            "{care}warning{care:#}: triggers were not compared: this role lacks privileges on flowsmith.triggers, flowsmith.trigger_differences(text[]) or another function (see docs/triggers.md)"
        ));
    }
}
