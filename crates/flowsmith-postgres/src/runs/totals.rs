//! How many runs flow versions have: the hazards of a plan depend on it.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::database::DatabaseError;
use flowsmith_core::sql::quote::literal;

/// The number of runs of one flow version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RunTotals {
    /// Runs that have started and not ended.
    pub started: i64,
    /// All runs.
    pub total: i64,
}

/// Counts the runs of these flow versions, by database slug, in one round trip; flow versions without runs are left out.
///
/// # Errors
/// If the connection fails or the role may not read runs.
pub async fn read_run_totals(
    connection: &mut PgConnection,
    database_slugs: &[String],
) -> Result<BTreeMap<String, RunTotals>, DatabaseError> {
    if database_slugs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.add_filter("literal", |text: &str| literal(text));
    // As plain text: a bound value would take two round trips, which a transaction pooler may send to different servers.
    let text = templates
        .render_str(include_str!("totals.sql"), context! { slugs => database_slugs.to_vec() })
        .expect("the template reads the slugs only");
    let rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let totals = RunTotals { started: row.try_get("started")?, total: row.try_get("total")? };
            Ok((row.try_get("flow_slug")?, totals))
        })
        .collect()
}
