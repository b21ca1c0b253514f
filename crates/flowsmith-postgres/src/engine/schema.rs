//! The installed schemas as canonical lines: the expected lines of the newest version, and the lines of a database.

use std::collections::BTreeSet;

use minijinja::{Environment, UndefinedBehavior};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::database::DatabaseError;
use flowsmith_core::sql::quote::literal;

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
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.add_filter("literal", |text: &str| literal(text));
        // Not a bound parameter: that takes two round trips, which a transaction pooler may route to different servers.
        let text = templates
            .render_str(include_str!("../../templates/schema.sql"), minijinja::context! { schema => self.name })
            .expect("the template reads the name only");
        let rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
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
