//! The installed schemas as canonical lines: the expected lines of the newest version, and the lines of a database.

use std::collections::BTreeSet;
use std::fmt;

use minijinja::context;
use sqlx::{PgConnection, Row};

use super::TEMPLATES;
use crate::database::DatabaseError;
use crate::database::transaction::{Opening, send};

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
        let query = TEMPLATES.render("schema.sql", context! { schema => self.name });
        let rows = send(connection, Opening::snapshot(), &query).await?;
        Ok(rows.iter().map(|row| row.try_get("line")).collect::<Result<_, _>>()?)
    }

    /// The differences between the lines of a database and those of the newest version. Grants to named roles are ignored,
    /// because users manage them.
    pub fn differences(self, live: &[String]) -> SchemaDifferences {
        let expected: BTreeSet<&str> = self.expected.lines().collect();
        let live: BTreeSet<&str> = live.iter().map(String::as_str).filter(|line| !line.starts_with("grant ")).collect();
        let owned = |line: &&str| (*line).to_owned();
        SchemaDifferences {
            missing: expected.difference(&live).map(owned).collect(),
            extra: live.difference(&expected).map(owned).collect(),
        }
    }
}

/// The differences between two versions of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaDifferences {
    /// Expected lines that the database lacks.
    pub missing: Vec<String>,
    /// Lines of the database that are not expected.
    pub extra: Vec<String>,
}

impl SchemaDifferences {
    /// Whether there are no differences.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }

    /// Keeps the lines for which `keep` returns true.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.missing.retain(|line| keep(line));
        self.extra.retain(|line| keep(line));
    }
}

/// One difference a line.
impl fmt::Display for SchemaDifferences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.missing.iter().map(|line| format!("lacks: {line}"));
        let extra = self.extra.iter().map(|line| format!("has: {line}"));
        f.write_str(&missing.chain(extra).collect::<Vec<_>>().join("\n"))
    }
}
