//! Checks of triggers.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::{PgConnection, Row};

use super::{CheckStatus, DoctorCheck};
use crate::database::transaction::{Opening, send};
use crate::database::{DatabaseError, Failure};
use crate::engine::detect::{Detection, EngineState};
use crate::introspection::{LiveShape, TriggerDifference, read_snapshot};

/// Checks that triggers are registered as declared and that their expressions are valid, and reports recent failures. No
/// checks without the schema `flowsmith`.
pub(super) async fn triggers(
    connection: &mut PgConnection,
    database: &Detection,
) -> Result<Vec<DoctorCheck>, DatabaseError> {
    const NAME: &str = "triggers";
    let EngineState::Present { level, .. } = database.engine else { return Ok(Vec::new()) };
    match database.may_read_triggers {
        None => return Ok(Vec::new()),
        Some(false) => return Ok(vec![DoctorCheck::skipped(NAME, "this role may not read the active triggers")]),
        Some(true) => {}
    }
    let shape = LiveShape { conditions: level.has_conditions(), ledger: database.has_flowsmith_schema, triggers: true };
    let live = match read_snapshot(connection, shape).await {
        Ok(live) => live,
        Err(error) if error.failure() == Failure::Permission => {
            return Ok(vec![DoctorCheck::skipped(NAME, error.to_string())]);
        }
        Err(error) => return Err(error),
    };
    Ok(vec![as_declared(NAME, &live.trigger_differences), failures(connection).await?])
}

fn as_declared(name: &str, differences: &[TriggerDifference]) -> DoctorCheck {
    if differences.is_empty() {
        return DoctorCheck::ok(name, "all as declared");
    }
    let detail = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    if differences.iter().any(|difference| difference.broken) {
        let advice = "restore the objects that the expressions name, or change the expressions in the flow file, compile and apply";
        return DoctorCheck::found(CheckStatus::Failed, name, detail, advice);
    }
    let advice = "run `flowsmith compile --from-live` to write the migration that restores them, and apply it";
    DoctorCheck::found(CheckStatus::Warning, name, detail, advice)
}

/// Lists failures of the active triggers in the last seven days, but none from before their latest change.
async fn failures(connection: &mut PgConnection) -> Result<DoctorCheck, DatabaseError> {
    const NAME: &str = "failures of triggers";
    let opening = Opening::snapshot().statement_timeout(Duration::from_secs(5));
    let rows = match send(connection, opening, include_str!("trigger_failures.sql")).await.map_err(DatabaseError::from)
    {
        Ok(rows) => rows,
        Err(error) if matches!(error.failure(), Failure::Cancelled | Failure::Permission) => {
            return Ok(DoctorCheck::skipped(NAME, error.to_string()));
        }
        Err(error) => return Err(error),
    };
    if rows.is_empty() {
        return Ok(DoctorCheck::ok(NAME, "none in the last 7 days"));
    }
    let mut detail = "in the last 7 days".to_owned();
    for row in &rows {
        let (flow, trigger): (&str, &str) = (row.try_get("flow")?, row.try_get("name")?);
        let (times, last_at): (i64, &str) = (row.try_get("failures")?, row.try_get("last_at")?);
        let last: &str = row.try_get("last_error")?;
        let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
        let _ = write!(detail, "\n{flow}: trigger {trigger}: {times}, last at {last_at}: {last}");
    }
    let advice = "fix the causes that the messages name; these changes and events started no run and will not start one later: \
                  `select * from flowsmith.events where kind = 'trigger-failed'` lists them, `flowsmith start` starts a run";
    Ok(DoctorCheck::found(CheckStatus::Warning, NAME, detail, advice))
}
