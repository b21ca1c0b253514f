//! The number of runs of flow versions, on which hazards of a plan depend.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::context;
use serde::Serialize;
use sqlx::postgres::PgConnection;
use sqlx::{FromRow, Row as _};

use crate::database::DatabaseError;
use crate::database::sql::{Templates, templates};
use crate::database::transaction::{Opening, send};

static TEMPLATES: LazyLock<Templates> = templates![".": "totals.sql"];

/// The number of runs of a flow version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, FromRow)]
pub struct RunTotals {
    /// Running runs.
    pub started: i64,
    /// All runs.
    pub total: i64,
}

/// The number of runs by database slug, in one round trip. Flows without runs are omitted. Makes no round
/// trip without slugs.
///
/// # Errors
/// If the server rejects the query or the connection fails.
pub async fn read_run_totals(
    connection: &mut PgConnection,
    database_slugs: &[String],
) -> Result<BTreeMap<String, RunTotals>, DatabaseError> {
    if database_slugs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let query = TEMPLATES.render("totals.sql", context! { slugs => database_slugs.to_vec() });
    let rows = send(connection, Opening::snapshot(), &query).await?;
    rows.iter().map(|row| Ok((row.try_get("flow_slug")?, RunTotals::from_row(row)?))).collect()
}
