//! One call to the database, with a timeout.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};

use flowsmith_postgres::database::transaction::{self, Opening};
use flowsmith_postgres::database::{DatabaseError, with_timeout};

/// The shortest timeout of a call. A call that exceeds it counts as a lost connection, because a network that drops every packet
/// reports no error.
const MIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a statement that even a slow network transfers in a second. Longer statements have longer timeouts.
const BYTES_PER_SECOND: usize = 256 << 10;

/// How much later than the worker the server gives up, so that a call whose answer is no longer awaited ends too.
const SERVER_GRACE: Duration = Duration::from_secs(5);

/// Runs statements as one transaction in one round trip, and returns the rows of all of them.
pub(super) async fn fetch(connection: &mut PgConnection, sql: String) -> Result<Vec<PgRow>, DatabaseError> {
    let timeout = timeout(&sql);
    let opening = Opening::write().frequent().statement_timeout(timeout + SERVER_GRACE);
    with_timeout(timeout, transaction::send(connection, opening, &sql)).await
}

/// Runs statements in the open transaction of a `sql` handler, in one round trip.
pub(super) async fn fetch_in_handler(connection: &mut PgConnection, sql: &str) -> Result<Vec<PgRow>, DatabaseError> {
    with_timeout(timeout(sql), transaction::restore(connection, sql)).await
}

fn timeout(sql: &str) -> Duration {
    MIN_TIMEOUT + Duration::from_secs((sql.len() / BYTES_PER_SECOND) as u64)
}
