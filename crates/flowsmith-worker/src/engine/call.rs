//! One call to the database, with a timeout.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgRow};

use flowsmith_postgres::database::{DatabaseError, with_timeout};

/// The shortest timeout of a call. A call that exceeds it counts as a lost connection, because a network that drops every packet
/// reports no error.
const MIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a statement that even a slow network transfers in a second. Longer statements have longer timeouts.
const BYTES_PER_SECOND: usize = 256 << 10;

/// Runs statements in one round trip and returns the rows of all of them.
pub(super) async fn fetch(connection: &mut PgConnection, sql: String) -> Result<Vec<PgRow>, DatabaseError> {
    let timeout = MIN_TIMEOUT + Duration::from_secs((sql.len() / BYTES_PER_SECOND) as u64);
    with_timeout(timeout, sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection)).await
}
