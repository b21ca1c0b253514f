//! The common start of operating commands: a connection, its engine, and the flows by name.

use flowsmith::report::Subject;
use flowsmith_postgres::database::{DatabaseError, Failure as DatabaseFailure};
use flowsmith_postgres::runs::{Engine, FlowVersion, Flows, RunPrefix, RunsError};
use sqlx::postgres::PgConnection;

use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::Place;

/// A connection with its engine.
pub(crate) struct Operator {
    pub(crate) place: Place,
    pub(crate) connection: PgConnection,
    pub(crate) engine: Engine,
    pub(crate) subject: Subject,
}

impl Operator {
    pub(crate) async fn open(project: &Project, output: &Output) -> Result<Self, Failure> {
        Self::on(Place::find(project, output)?).await
    }

    async fn on(place: Place) -> Result<Self, Failure> {
        let session = place.open().await?;
        session.level()?;
        let engine = Engine::of(&session.detection).expect("an engine with a level is present");
        let subject = session.subject();
        Ok(Self { connection: session.connection, place, engine, subject })
    }

    /// Reconnects after a lost connection.
    pub(crate) async fn reconnect(&mut self) -> Result<(), DatabaseError> {
        self.connection = self.place.target.connect().await?;
        Ok(())
    }

    pub(crate) async fn flows(&mut self) -> Result<Flows, RunsError> {
        Ok(Flows::read(&mut self.connection, self.engine).await?.in_database(&self.subject.database))
    }

    /// The complete id of a run.
    pub(crate) async fn run_id(&mut self, run: &RunPrefix) -> Result<String, RunsError> {
        run.resolve(&mut self.connection).await.map_err(|error| error.in_database(&self.subject.database))
    }

    /// The names of the flows; empty for a role that may read runs but no definitions, which then shows slugs.
    pub(crate) async fn flows_if_allowed(&mut self) -> Result<Flows, RunsError> {
        match self.flows().await {
            Err(RunsError::Database(error)) if error.failure() == DatabaseFailure::Permission => Ok(Flows::default()),
            result => result,
        }
    }
}

/// Whether the error is a lost connection.
pub(crate) fn is_lost(error: &RunsError) -> bool {
    matches!(error, RunsError::Database(error) if error.is_lost())
}

/// The flow versions of a name; all without a name.
pub(crate) fn named<'a>(flows: &'a Flows, name: Option<&str>) -> Result<Vec<&'a FlowVersion>, RunsError> {
    name.map_or_else(|| Ok(flows.all().iter().collect()), |name| flows.named(name))
}

/// Their slugs.
pub(crate) fn slugs(flows: &[&FlowVersion]) -> Vec<String> {
    flows.iter().map(|flow| flow.slug.clone()).collect()
}
