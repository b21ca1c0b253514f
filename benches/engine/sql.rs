//! Runs SQL.

use sqlx::postgres::PgConnection;

/// Runs statements and discards their rows; panics with the statement if one fails.
pub(crate) async fn run(connection: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await {
        panic!("{sql}: {error}");
    }
}
