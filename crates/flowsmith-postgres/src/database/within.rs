//! Deadlines of calls: a network that swallows everything does not say so.

use std::future::Future;
use std::time::Duration;

use super::{DatabaseError, Failure};

/// What a call to the database gave. Where it has no answer in this time, its connection counts as lost.
pub async fn within<T, E: Into<DatabaseError>>(
    patience: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, DatabaseError> {
    match tokio::time::timeout(patience, call).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(unanswered(patience)),
    }
}

/// The failure of a call that got no answer in this time.
pub fn unanswered(patience: Duration) -> DatabaseError {
    DatabaseError::new(Failure::Lost, format!("the database gave no answer within {} s", patience.as_secs()))
}
