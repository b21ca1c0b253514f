//! Finds triggers that a database cannot create before a migration fails on them. It reads catalogs only: the expressions of
//! triggers are tried by `apply`, in a function of the role that declares them.

use std::sync::LazyLock;

use minijinja::context;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::hazard::coming_triggers;
use crate::database::DatabaseError;
use crate::database::sql::{Templates, templates};
use crate::database::transaction::{Opening, send};
use flowsmith_core::catalog::{Catalog, FlowId, QueueKind, TableName, Trigger, TriggerSource};
use flowsmith_core::diff::ChangeSet;

static TEMPLATES: LazyLock<Templates> = templates![".": "table.sql"];

/// The first version of pg_cron that supports `N seconds` and `$`.
const SECONDS: [u32; 2] = [1, 5];

/// A trigger that the database currently cannot create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedTrigger {
    /// The flow version that declares it.
    pub flow: FlowId,
    /// The name of the trigger.
    pub trigger: String,
    /// The reason.
    pub reason: String,
}

/// The triggers activated by these changes that the database cannot create; `live` are its flows. Writes
/// nothing, and makes round trips only for activated triggers.
///
/// # Errors
/// If the connection fails.
pub(super) async fn refused_triggers(
    connection: &mut PgConnection,
    changes: &ChangeSet,
    live: &Catalog,
) -> Result<Vec<RefusedTrigger>, DatabaseError> {
    let mut refused = Vec::new();
    for change in &changes.changes {
        for trigger in coming_triggers(change) {
            if let Some(reason) = reason(connection, trigger, live).await? {
                refused.push(RefusedTrigger { flow: change.id().clone(), trigger: trigger.name.clone(), reason });
            }
        }
    }
    Ok(refused)
}

async fn reason(
    connection: &mut PgConnection,
    trigger: &Trigger,
    live: &Catalog,
) -> Result<Option<String>, DatabaseError> {
    match &trigger.source {
        TriggerSource::Cron { schedule, .. } => of_schedule(connection, schedule).await,
        TriggerSource::Table(table) => of_table(connection, &table.table).await,
        TriggerSource::Queue { kind, queue, input_sql: _ } => {
            let holder = live.iter().find(|(slug, _)| *kind == QueueKind::Pgmq && slug.eq_ignore_ascii_case(queue));
            Ok(holder.map(|(slug, _)| format!("the queue {queue} belongs to flow {slug}")))
        }
    }
}

async fn of_schedule(connection: &mut PgConnection, schedule: &str) -> Result<Option<String>, DatabaseError> {
    if !schedule.contains("second") && !schedule.contains('$') {
        return Ok(None);
    }
    let version = "select extversion from pg_catalog.pg_extension where extname = 'pg_cron'";
    let rows = send(connection, Opening::snapshot(), version).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let version: &str = row.try_get("extversion")?;
    let parts: Vec<u32> = version.split(['.', '-']).map_while(|part| part.parse().ok()).collect();
    let is_old = !parts.is_empty() && parts.as_slice() < SECONDS.as_slice();
    Ok(is_old.then(|| format!("the schedule `{schedule}` needs pg_cron 1.5 or later; this is {version}")))
}

async fn of_table(connection: &mut PgConnection, table: &TableName) -> Result<Option<String>, DatabaseError> {
    let query = TEMPLATES.render("table.sql", context! { table => table.as_str() });
    let rows = send(connection, Opening::snapshot(), &query).await?;
    let Some(row) = rows.first() else {
        return Ok(Some(format!("table {table} does not exist; create it before `flowsmith apply`")));
    };
    let can_have: bool = row.try_get("can_have_trigger")?;
    Ok((!can_have).then(|| format!("{table} cannot have a row trigger: it is not a table")))
}
