//! Finds triggers that a database cannot create before a migration fails on them. It makes the same checks as
//! `flowsmith.sync_triggers`, but creates nothing and blocks no writers.

use std::sync::LazyLock;
use std::time::Duration;

use minijinja::context;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::hazard::coming_triggers;
use crate::database::sql::{Templates, templates};
use crate::database::transaction::{Opening, send};
use crate::database::{DatabaseError, Failure};
use flowsmith_core::catalog::{Catalog, FlowId, Input, QueueKind, TableName, TableTrigger, Trigger, TriggerSource};
use flowsmith_core::diff::ChangeSet;

static TEMPLATES: LazyLock<Templates> = templates![".": "table.sql", "expression.sql"];

/// The first version of pg_cron that supports `N seconds` and `$`.
const SECONDS: [u32; 2] = [1, 5];

/// The limits of the check of an expression.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The row source of the expressions of a queue trigger.
const EVENT: &str =
    "(select null::bigint as id, null::timestamptz as time, null::text as type, null::jsonb as data) as event";

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

/// The triggers activated by these changes that the database cannot create; `live` are its flows. Objects that the role may
/// not read are assumed to be valid. Writes nothing, and makes round trips only for activated triggers.
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
        TriggerSource::Table(table) => of_table(connection, table).await,
        TriggerSource::Queue { kind, queue, input_sql } => {
            let holder = live.iter().find(|(slug, _)| *kind == QueueKind::Pgmq && slug.eq_ignore_ascii_case(queue));
            match (holder, input_sql) {
                (Some((slug, _)), _) => Ok(Some(format!("the queue {queue} belongs to flow {slug}"))),
                (None, Some(sql)) => of_expression(connection, "input_sql", sql, "jsonb", EVENT).await,
                (None, None) => Ok(None),
            }
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

async fn of_table(connection: &mut PgConnection, trigger: &TableTrigger) -> Result<Option<String>, DatabaseError> {
    let table = &trigger.table;
    let rows = match table_rows(connection, table).await? {
        Ok(rows) => rows,
        Err(reason) => return Ok(Some(reason)),
    };
    if let Some(when) = &trigger.when
        && let Some(reason) = of_expression(connection, "when", when, "bool", &rows).await?
    {
        return Ok(Some(reason));
    }
    match &trigger.input {
        Input::Sql(sql) => of_expression(connection, "input_sql", sql, "jsonb", &rows).await,
        Input::Value(_) => Ok(None),
    }
}

/// The row source of the expressions of a trigger on this table, or the reason why the table cannot have a trigger.
async fn table_rows(connection: &mut PgConnection, table: &TableName) -> Result<Result<String, String>, DatabaseError> {
    let query = TEMPLATES.render("table.sql", context! { table => table.as_str() });
    let rows = send(connection, Opening::snapshot(), &query).await?;
    let Some(row) = rows.first() else {
        return Ok(Err(format!("table {table} does not exist; create it before `flowsmith apply`")));
    };
    let (rows, can_have): (String, bool) = (row.try_get("rows")?, row.try_get("can_have_trigger")?);
    Ok(if can_have { Ok(rows) } else { Err(format!("{table} cannot have a row trigger: it is not a table")) })
}

async fn of_expression(
    connection: &mut PgConnection,
    key: &str,
    expression: &str,
    kind: &str,
    rows: &str,
) -> Result<Option<String>, DatabaseError> {
    let query = TEMPLATES.render("expression.sql", context! { expression, kind, rows });
    let opening = Opening::snapshot().lock_timeout(LOCK_TIMEOUT).statement_timeout(STATEMENT_TIMEOUT);
    let Err(error) = send(connection, opening, &query).await else { return Ok(None) };
    let is_said = matches!(&error, sqlx::Error::Database(_));
    let message = error.as_database_error().map(|error| error.message().to_owned()).unwrap_or_default();
    let error = DatabaseError::from(error);
    if !is_said {
        return Err(error);
    }
    Ok(match error.failure() {
        Failure::Permission | Failure::LockTimeout | Failure::Cancelled => None,
        _ => Some(format!("`{key}` fails: {message}")),
    })
}
