//! Audits a database: prerequisites, schemas, privileges, and self-tests of the engine and of PgQ.

mod database;
mod pgq;
mod queues;
mod self_test;
mod triggers;

use serde::Deserialize;
use sqlx::PgConnection;

use super::detect::{DetectError, EngineKind, EngineState, PgmqState, detect};

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorCheck {
    /// The name of the check; stable, for scripts.
    pub name: String,
    /// The outcome.
    pub status: CheckStatus,
    /// The finding.
    pub detail: String,
    /// How to fix it, if there is something to fix.
    pub advice: Option<String>,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// No problem.
    Ok,
    /// Works, but needs attention.
    Warning,
    /// Does not work.
    Failed,
    /// The check could not run.
    Skipped,
}

impl DoctorCheck {
    fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), status: CheckStatus::Ok, detail: detail.into(), advice: None }
    }

    fn skipped(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), status: CheckStatus::Skipped, detail: detail.into(), advice: None }
    }

    fn found(status: CheckStatus, name: &str, detail: impl Into<String>, advice: &str) -> Self {
        Self { name: name.to_owned(), status, detail: detail.into(), advice: Some(advice.to_owned()) }
    }
}

/// Audits a database. The self-test of the engine is rolled back. The self-test of PgQ, if the database has PgQ, creates a
/// scratch queue and drops it.
///
/// # Errors
/// If the connection fails, or an untrusted role owns something that the checks would read; any other problem is a failed check.
pub async fn doctor(connection: &mut PgConnection) -> Result<Vec<DoctorCheck>, DetectError> {
    let found = detect(connection).await?;
    let mut checks = vec![database::server(&found), database::pgmq(&found), database::engine(&found)];
    checks.push(DoctorCheck::ok("owners", "every object belongs to a trusted role"));
    if let EngineState::Present { kind, .. } = found.engine {
        if let EngineKind::Flowsmith { version } = kind {
            checks.push(database::engine_version(&found, version));
            checks.push(database::engine_schema(connection, version).await?);
        }
        checks.extend(database::ledger_schema(connection, &found).await?);
        checks.push(database::public_rights(&found));
        if matches!(kind, EngineKind::Flowsmith { .. }) {
            checks.extend(database::roles(connection).await?);
        }
        checks.extend([database::events(connection, &found).await?, database::recovery(&found)]);
        if found.pgmq != PgmqState::Missing {
            checks.push(queues::queues(connection).await?);
        }
        checks.extend(self_test::self_test(connection, &found).await?);
        checks.extend(self_test::recent_runs(connection).await?);
        checks.extend(triggers::triggers(connection, &found).await?);
    }
    checks.extend(pgq::pgq(connection).await?);
    Ok(checks)
}
