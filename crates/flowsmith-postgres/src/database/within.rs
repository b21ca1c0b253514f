//! Deadlines for calls, because a network that drops every packet reports no error.

use std::future::Future;
use std::time::Duration;

use super::{DatabaseError, Failure};

/// Awaits a call to the database. If it does not answer within `patience`, the connection counts as lost.
pub async fn within<T, E: Into<DatabaseError>>(
    patience: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, DatabaseError> {
    match tokio::time::timeout(patience, call).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(unanswered(patience)),
    }
}

/// The error of a call that was not answered in time.
pub fn unanswered(patience: Duration) -> DatabaseError {
    DatabaseError::new(Failure::Lost, format!("the database did not answer within {} s", patience.as_secs()))
}
