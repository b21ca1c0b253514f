//! The schemas that an install makes, in canonical lines: what they are in flowsmith's newest version, and in a database.

use std::collections::BTreeSet;

use minijinja::{Environment, UndefinedBehavior};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::database::DatabaseError;
use crate::migration::quote::literal;

/// A schema and its committed lines. A test compares them with an installed one, and writes them with `UPDATE=1`.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its name.
    pub name: &'static str,
    /// Its lines in the newest version.
    pub expected: &'static str,
}

/// The engine's.
pub const ENGINE: Schema =
    Schema { name: "pgflow", expected: include_str!("../../crates/flowsmith-postgres/sql/engine/schema.txt") };

/// flowsmith's own.
pub const LEDGER: Schema = Schema { name: "flowsmith", expected: include_str!("../../migrations/ledger/schema.txt") };

impl Schema {
    /// Reads the lines from a database.
    ///
    /// # Errors
    /// Where the connection fails.
    pub async fn read(self, connection: &mut PgConnection) -> Result<Vec<String>, DatabaseError> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.add_filter("literal", |text: &str| literal(text));
        // As plain text: a bound value would take two round trips, which a transaction pooler may send to different servers.
        let text = templates
            .render_str(include_str!("../../templates/schema.sql"), minijinja::context! { schema => self.name })
            .expect("the template reads the name only");
        let rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    /// How a database's lines differ from the newest, in words; empty where they do not. Grants to named roles are the
    /// user's own business.
    pub fn differences(self, live: &[String]) -> Vec<String> {
        let expected: BTreeSet<&str> = self.expected.lines().collect();
        let live: BTreeSet<&str> = live.iter().map(String::as_str).filter(|line| !line.starts_with("grant ")).collect();
        let missing = expected.difference(&live).map(|line| format!("lacks: {line}"));
        let extra = live.difference(&expected).map(|line| format!("has: {line}"));
        missing.chain(extra).collect()
    }
}
