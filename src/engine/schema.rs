//! The engine's schema in canonical lines: what flowsmith's engine has, and what a database has.

use std::collections::BTreeSet;

use sqlx::{PgConnection, Row};

use crate::database::DatabaseError;

/// The lines of flowsmith's newest engine. A test compares this file with an installed one, and writes it with `UPDATE=1`.
pub const EXPECTED: &str = include_str!("../../migrations/engine/schema.txt");

/// Reads the lines from a database.
///
/// # Errors
/// Where the connection fails.
pub async fn read(connection: &mut PgConnection) -> Result<Vec<String>, DatabaseError> {
    let rows = sqlx::raw_sql(include_str!("schema.sql")).fetch_all(connection).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// How a database's schema differs from flowsmith's newest engine, in words; empty where it does not. Grants to named
/// roles are the user's own business.
pub fn differences(live: &[String]) -> Vec<String> {
    let expected: BTreeSet<&str> = EXPECTED.lines().collect();
    let live: BTreeSet<&str> = live.iter().map(String::as_str).filter(|line| !line.starts_with("grant ")).collect();
    let missing = expected.difference(&live).map(|line| format!("lacks: {line}"));
    let extra = live.difference(&expected).map(|line| format!("has: {line}"));
    missing.chain(extra).collect()
}
