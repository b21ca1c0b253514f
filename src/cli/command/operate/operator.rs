//! Opens the database for the commands that operate flows.

use flowsmith::report::Subject;
use flowsmith_postgres::runs::Operator;

use crate::cli::database;
use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::cli::project::Project;

/// Connects to the database, which must have an engine.
pub(crate) async fn open(project: &Project, output: &Output) -> Result<Operator, Failure> {
    Ok(Operator::new(database::open(project, output).await?)?)
}

/// The subject of a report about the database.
pub(crate) fn subject(operator: &Operator) -> Subject {
    database::subject(&operator.session)
}
