//! Deadlines for calls, because a network that drops every packet reports no error.

use std::future::Future;
use std::time::Duration;

use super::{DatabaseError, Failure};

/// Awaits a call to the database. If it does not answer within `timeout`, the connection counts as lost.
///
/// # Errors
/// The error of the call, or [`timed_out`].
pub async fn with_timeout<T, E: Into<DatabaseError>>(
    timeout: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, DatabaseError> {
    match tokio::time::timeout(timeout, call).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(timed_out(timeout)),
    }
}

/// The error of a call that was not answered in time.
pub fn timed_out(timeout: Duration) -> DatabaseError {
    DatabaseError::new(Failure::Lost, format!("the database did not answer within {} s", timeout.as_secs()))
}
