//! Triggers that consume from queues.

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use flowsmith_core::catalog::QueueKind;
use flowsmith_postgres::database::transaction::{Opening, send};
use flowsmith_postgres::database::{DatabaseError, Failure};
use flowsmith_postgres::runs::DeclaredInput;

/// A trigger that consumes from a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueTrigger {
    /// The flow's slug.
    pub flow: String,
    /// The trigger's name.
    pub name: String,
    /// The queue system.
    pub kind: QueueKind,
    /// The queue's name.
    pub queue: String,
    /// The input that the flow file declares, if any.
    pub input: Option<DeclaredInput>,
}

impl QueueTrigger {
    /// The name of its consumer in PgQ.
    pub fn consumer(&self) -> String {
        format!("flowsmith:{}:{}", self.flow, self.name)
    }
}

/// Reads the active triggers that consume from queues.
///
/// # Errors
/// If the connection is lost, or the role may not read triggers.
pub async fn queue_triggers(connection: &mut PgConnection) -> Result<Vec<QueueTrigger>, DatabaseError> {
    let rows = send(connection, Opening::snapshot(), include_str!("triggers.sql")).await?;
    rows.iter().map(trigger).collect()
}

fn trigger(row: &PgRow) -> Result<QueueTrigger, DatabaseError> {
    let kind = match row.try_get("kind")? {
        "pgq" => QueueKind::Pgq,
        "pgmq" => QueueKind::Pgmq,
        other => return Err(DatabaseError::new(Failure::Sql, format!("unknown kind of queue `{other}`"))),
    };
    Ok(QueueTrigger {
        flow: row.try_get("flow")?,
        name: row.try_get("name")?,
        kind,
        queue: row.try_get("queue")?,
        input: declared_input(row)?,
    })
}

fn declared_input(row: &PgRow) -> Result<Option<DeclaredInput>, DatabaseError> {
    let (flow, schema): (Option<String>, Option<String>) = (row.try_get("version")?, row.try_get("schema")?);
    let (Some(flow), Some(schema)) = (flow, schema) else { return Ok(None) };
    let unreadable =
        |error| DatabaseError::new(Failure::Sql, format!("cannot read the input schema of {flow}: {error}"));
    Ok(Some(DeclaredInput { schema: serde_json::from_str(&schema).map_err(unreadable)?, flow }))
}
