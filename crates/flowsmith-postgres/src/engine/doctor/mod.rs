//! Audits a database: is what it needs there, is it what it should be, and does it work.

mod database;
mod pgq;
mod queues;
mod self_test;
mod triggers;

use serde::Deserialize;
use sqlx::PgConnection;

use super::detect::{DetectError, EngineKind, EngineState, PgmqState, detect};

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorCheck {
    /// What was looked at; stable.
    pub name: String,
    /// How it is.
    pub status: CheckStatus,
    /// What was found.
    pub detail: String,
    /// What to do about it, where there is something to do.
    pub advice: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Works, but deserves a look.
    Warning,
    /// Does not work.
    Failed,
    /// Could not be looked at.
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

/// Audits a database. Whatever the self-test of the engine makes is rolled back; that of PgQ, where the database has it,
/// takes a queue of its own and drops it.
///
/// # Errors
/// Where the connection fails; everything else is a check.
pub async fn doctor(connection: &mut PgConnection) -> Result<Vec<DoctorCheck>, DetectError> {
    let found = detect(connection).await?;
    let mut checks = vec![database::server(&found), database::pgmq(&found), database::engine(&found)];
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
        checks.extend([database::events(&found), database::recovery(&found)]);
        if found.pgmq != PgmqState::Missing {
            checks.push(queues::queues(connection).await?);
        }
        checks.extend(self_test::self_test(connection).await?);
        checks.extend(self_test::recent_runs(connection).await?);
        checks.extend(triggers::triggers(connection, &found).await?);
    }
    checks.extend(pgq::pgq(connection).await?);
    Ok(checks)
}
