//! Which migrations of a project are applied.

use crate::ledger::Status;
use crate::session::{CompareError, Session};
use flowsmith_core::project::Project;

/// Compares the migrations of a project with the ledger. Writes nothing.
///
/// # Errors
/// If the migrations cannot be read, or the database has no engine or cannot be read.
pub async fn read_status(session: &mut Session, project: &Project) -> Result<Status, CompareError> {
    let folder = project.read_migrations()?;
    let live = session.read_live().await?;
    Ok(Status::new(folder.migrations(), &live.ledger))
}
