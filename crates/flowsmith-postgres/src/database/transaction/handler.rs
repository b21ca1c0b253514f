//! The transaction of a `sql` handler, in which the query of a user runs with the settings of the role.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgRow};

use super::settings::{SETTINGS, Setting, Use};
use super::{Opening, abort};

fn settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.used == Use::EveryCall)
}

/// Begins a transaction, runs a statement in it, and then gives every setting back its value for this session; all in one
/// message. The transaction stays open, and `statement_timeout` limits each of its statements. Returns the rows of the
/// statement.
///
/// # Errors
/// If the connection fails or the server rejects the statement. The transaction is rolled back.
pub async fn begin_handler(
    connection: &mut PgConnection,
    statement_timeout: Duration,
    sql: &str,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let opening = Opening::write().frequent().sql(connection.server_version_num());
    let mut message = format!("{opening}\n{sql}\n;");
    for setting in settings() {
        let _ = write!(message, "set local {} to default; ", setting.name);
    }
    let _ = write!(
        message,
        "set local lock_timeout to default; set local statement_timeout = {}",
        statement_timeout.as_millis()
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(message)).fetch_all(&mut *connection).await;
    if rows.is_err() {
        abort(connection).await;
    }
    rows
}

/// Fixes the settings again in a transaction that [`begin_handler`] began, and runs statements in it, in one message. The
/// transaction stays open. Returns the rows of the statements.
///
/// # Errors
/// If the connection fails or the server rejects a statement.
pub async fn restore(connection: &mut PgConnection, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut message = String::new();
    for setting in settings() {
        let _ = write!(message, "set local {} = {}; ", setting.name, setting.value);
    }
    message.push_str("set local lock_timeout = 0;\n");
    message.push_str(sql);
    sqlx::raw_sql(AssertSqlSafe(message)).fetch_all(connection).await
}
