//! The installed schemas as canonical lines: the expected lines of the newest version, and the lines of a database.

use std::collections::BTreeSet;

use minijinja::context;
use sqlx::{PgConnection, Row};

use super::TEMPLATES;
use crate::database::DatabaseError;

/// A schema with its expected lines. A test compares them with an installed schema and rewrites them with `UPDATE=1`.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The name of the schema.
    pub name: &'static str,
    /// The lines of the newest version.
    pub expected: &'static str,
}

/// The schema of the engine.
pub const ENGINE: Schema = Schema { name: "pgflow", expected: include_str!("../../sql/engine/schema.txt") };

/// The schema of the ledger, triggers and events.
pub const LEDGER: Schema = Schema { name: "flowsmith", expected: include_str!("../../sql/ledger/schema.txt") };

impl Schema {
    /// Reads the lines of a database.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn read(self, connection: &mut PgConnection) -> Result<Vec<String>, DatabaseError> {
        // A bound value would take two round trips, which a transaction pooler may send to different servers.
        let query = TEMPLATES.query("schema.sql", context! { schema => self.name });
        let rows = sqlx::raw_sql(query).fetch_all(connection).await?;
        Ok(rows.iter().map(|row| row.try_get("line")).collect::<Result<_, _>>()?)
    }

    /// The differences between a database and the newest version, one text each. Grants to named roles are ignored, because users
    /// manage them.
    pub fn differences(self, live: &[String]) -> Vec<String> {
        let expected: BTreeSet<&str> = self.expected.lines().collect();
        let live: BTreeSet<&str> = live.iter().map(String::as_str).filter(|line| !line.starts_with("grant ")).collect();
        let missing = expected.difference(&live).map(|line| format!("lacks: {line}"));
        let extra = live.difference(&expected).map(|line| format!("has: {line}"));
        missing.chain(extra).collect()
    }
}
