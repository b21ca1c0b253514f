//! Reading the steps of flows.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::call::fetch;
use super::capabilities::Engine;
use super::statements::STEPS;
use flowsmith_core::sql::array;
use flowsmith_postgres::database::DatabaseError;

/// The options of a step in the database. They can be tuned while a worker runs, except for the dependents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepOptions {
    /// Seconds.
    pub(crate) timeout: u32,
    /// Whether other steps depend on it.
    pub(crate) has_dependents: bool,
    /// Whether it has a start delay.
    pub(crate) is_delayed: bool,
}

/// Steps with their options, by the slug of their flow.
pub(crate) type StepsByFlow = BTreeMap<String, Vec<(String, StepOptions)>>;

impl Engine {
    /// The steps of those of the flows that exist.
    pub(crate) async fn steps(
        &self,
        connection: &mut PgConnection,
        flows: &[&str],
    ) -> Result<StepsByFlow, DatabaseError> {
        let sql = STEPS.fill(&[("flows", &array(flows, "text"))]);
        let mut found = StepsByFlow::new();
        for row in fetch(connection, sql).await? {
            let steps = found.entry(row.try_get("flow_slug")?).or_default();
            if let Some(step) = row.try_get::<Option<String>, _>("step_slug")? {
                let timeout: i32 = row.try_get("timeout")?;
                let options = StepOptions {
                    timeout: timeout.unsigned_abs(),
                    has_dependents: row.try_get("has_dependents")?,
                    is_delayed: row.try_get("is_delayed")?,
                };
                steps.push((step, options));
            }
        }
        Ok(found)
    }
}
