//! Checks of PgQ, if the database has it: version, tickers, consumers, and a self-test.
//!
//! ```text
//! detect.sql → audit: queues.sql, consumers.sql → walk: its functions, part by part, in a scratch queue
//! ```

mod audit;
mod scratch;
mod walk;

use std::time::Duration;

use sqlx::{FromRow, PgConnection};

use super::{CheckStatus, DoctorCheck};
use crate::database::transaction::{Opening, send};
use crate::database::{DatabaseError, Failure};

const SELF_TEST: &str = "pgq self-test";

/// Limits of each transaction, so that the doctor never blocks for long.
fn limited(opening: Opening) -> Opening {
    opening.lock_timeout(Duration::from_secs(2)).statement_timeout(Duration::from_secs(10))
}

/// A row of `detect.sql`.
#[derive(FromRow)]
struct Found {
    is_there: bool,
    may_look: bool,
    is_admin: bool,
    is_read_only: bool,
    version: Option<String>,
    newest: Option<String>,
}

/// No checks without PgQ. The self-test removes its scratch queue, even after a failed part.
///
/// # Errors
/// If the connection fails.
pub(super) async fn pgq(connection: &mut PgConnection) -> Result<Vec<DoctorCheck>, DatabaseError> {
    let rows = send(connection, Opening::snapshot(), include_str!("detect.sql")).await?;
    let found = rows.first().map(Found::from_row).transpose()?;
    let Some(found) = found.filter(|found| found.is_there) else { return Ok(Vec::new()) };

    let mut checks = vec![version(&found)];
    if found.version.is_none() {
        // The functions of the schema can be anyone's.
        checks.push(DoctorCheck::skipped("pgq queues", "PgQ is not installed as an extension"));
        return Ok(checks);
    }
    if !found.may_look {
        checks.push(DoctorCheck::skipped("pgq queues", "this role may not use schema pgq"));
        return Ok(checks);
    }
    checks.extend(audit::audit(connection).await?);
    if !found.is_admin {
        checks.push(DoctorCheck::skipped(SELF_TEST, "needs role pgq_admin"));
    } else if found.is_read_only {
        checks.push(DoctorCheck::skipped(SELF_TEST, "the server is a standby"));
    } else {
        checks.extend(walk::walk(connection).await?);
    }
    Ok(checks)
}

fn version(found: &Found) -> DoctorCheck {
    const NAME: &str = "pgq version";
    match (&found.version, &found.newest) {
        (None, _) => DoctorCheck::found(
            CheckStatus::Warning,
            NAME,
            "the schema pgq does not belong to the extension, so that nothing in it is called",
            "if queue triggers use PgQ, run `create extension pgq`; otherwise ignore this",
        ),
        (Some(version), Some(newest)) if version != newest => DoctorCheck::found(
            CheckStatus::Warning,
            NAME,
            format!("PgQ {version}; the server provides {newest}"),
            "run `alter extension pgq update`",
        ),
        (Some(version), _) => DoctorCheck::ok(NAME, format!("PgQ {version}")),
    }
}

/// Turns an error into a skipped check, unless the connection is lost or the error is unexpected.
fn skipped_or_failed(name: &str, error: DatabaseError) -> Result<DoctorCheck, DatabaseError> {
    match error.failure() {
        Failure::Permission | Failure::Cancelled | Failure::LockTimeout => {
            Ok(DoctorCheck::skipped(name, error.to_string()))
        }
        _ => Err(error),
    }
}
