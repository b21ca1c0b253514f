//! The self-test of the engine on scratch flows, and a check of recent runs.

use std::time::Duration;

use serde::Deserialize;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::{CheckStatus, DoctorCheck};
use crate::database::transaction::{Opening, Transaction, send};
use crate::database::{DatabaseError, Failure};
use crate::engine::detect::{DetectError, Detection};

/// One part of the self-test.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestedPart {
    name: String,
    status: CheckStatus,
    detail: String,
}

/// Runs the self-test in a transaction that is rolled back on every path; dropping an open transaction rolls it back too.
pub(super) async fn self_test(
    connection: &mut PgConnection,
    database: &Detection,
) -> Result<Vec<DoctorCheck>, DetectError> {
    // On a standby, every part that writes is skipped.
    let opening = if database.is_standby { Opening::snapshot() } else { Opening::write() };
    let mut transaction = Transaction::begin(connection, opening).await?;
    let answer = transaction.send(include_str!("self_test.sql")).await;
    transaction.rollback().await?;
    let row = |rows: Vec<PgRow>| rows.into_iter().next().ok_or(sqlx::Error::RowNotFound);
    let answer: String = match answer.and_then(row).and_then(|row| row.try_get("results")) {
        Ok(answer) => answer,
        Err(error) => {
            let advice = "fix the failed checks above: the engine is too damaged to be tested";
            let detail = DatabaseError::from(error).to_string();
            return Ok(vec![DoctorCheck::found(CheckStatus::Failed, "self-test", detail, advice)]);
        }
    };
    let parts: Vec<TestedPart> = serde_json::from_str(&answer)?;
    Ok(parts.into_iter().map(DoctorCheck::from).collect())
}

/// Checks the newest runs against the engine's invariants, if the engine provides that function. Writes nothing, and stops
/// after five seconds.
pub(super) async fn recent_runs(connection: &mut PgConnection) -> Result<Option<DoctorCheck>, DetectError> {
    const NAME: &str = "recent runs";
    let opening = Opening::snapshot().statement_timeout(Duration::from_secs(5));
    let answer = send(connection, opening, include_str!("violations.sql")).await;
    let read = answer.map_err(DatabaseError::from).and_then(|rows| match rows.first() {
        Some(row) => Ok(Some((row.try_get::<i64, _>("runs")?, row.try_get::<Option<Vec<String>>, _>("descriptions")?))),
        None => Ok(None),
    });
    Ok(match read {
        Ok(None) => None,
        Ok(Some((runs, None))) => Some(DoctorCheck::ok(NAME, format!("{runs} checked, no violation"))),
        Ok(Some((runs, Some(violations)))) => Some(DoctorCheck::found(
            CheckStatus::Failed,
            NAME,
            format!("violations in {runs} checked runs\n{}", violations.join("\n")),
            "run `select * from pgflow.violations()` to list all; if no one wrote to the tables directly, report this",
        )),
        Err(error) if matches!(error.failure(), Failure::Cancelled | Failure::Permission) => {
            Some(DoctorCheck::skipped(NAME, error.to_string()))
        }
        Err(error) => return Err(error.into()),
    })
}

impl From<TestedPart> for DoctorCheck {
    fn from(part: TestedPart) -> Self {
        let advice = (part.status == CheckStatus::Failed)
            .then(|| "compare the engine with a new installation: it does not behave as its level requires".to_owned());
        Self { name: format!("self-test: {}", part.name), status: part.status, detail: part.detail, advice }
    }
}
