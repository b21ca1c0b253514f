//! Applying: the only way in which flowsmith changes flows in a database.
//!
//! Each pending migration runs in a transaction of its own: lock, check against the ledger, guard against drift (before
//! the first), run, record, commit. Killed at any point, the database is as before a migration or as after it.

mod error;
mod unscheduled;

pub use crate::database::Holder;
pub use error::ApplyError;
pub use unscheduled::{Unscheduled, UnscheduledReason};

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::database::{self, DatabaseError, Lock};
use crate::drift::{Drift, drift};
use crate::introspection::{self, LiveShape};
use crate::ledger::{LedgerEntry, MigrationState, Status};
use crate::session::Session;
use flowsmith_core::catalog::Ignore;
use flowsmith_core::migration::{Folder, Migration, deletions};

/// How to apply.
#[derive(Debug, Clone)]
pub struct ApplySettings {
    /// How long to wait for another apply, and for each lock on a table.
    pub lock_timeout: Duration,
    /// How long one migration may take.
    pub statement_timeout: Duration,
    /// Go on where the database is not what was applied to it.
    pub accept_drift: bool,
    /// Run migrations that are older than the newest applied one.
    pub out_of_order: bool,
    /// Live flows that are none of our business.
    pub ignore: Ignore,
    /// Flow versions, by database slug, that a migration which is still to be written will delete: drift of their
    /// definitions is no reason for [`check`] to refuse, as it is none where the deletion is pending.
    pub to_delete: BTreeSet<String>,
}

impl Default for ApplySettings {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(600),
            accept_drift: false,
            out_of_order: false,
            ignore: Ignore::default(),
            to_delete: BTreeSet::new(),
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// Ids of the migrations that ran, and how long each took.
    pub migrations: Vec<(String, Duration)>,
    /// New schedules that pg_cron does not run.
    pub unscheduled: Option<Unscheduled>,
    /// What still differs; empty but where drift was accepted.
    pub drift: Drift,
}

/// What happens while migrations run, by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// It begins.
    Running(&'a str),
    /// It is committed, after so long. Whatever fails later, it stays.
    Applied(&'a str, Duration),
}

/// Runs every pending migration of a folder; `progress` hears of each.
///
/// # Errors
/// Any [`ApplyError`]; migrations that ran before it stay applied, the one that failed leaves nothing behind.
pub async fn apply(
    session: Session,
    folder: &Folder,
    settings: &ApplySettings,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Applied, ApplyError> {
    let shape = shape(&session)?;
    let Session { mut connection, detection, .. } = session;
    let before = introspection::read_snapshot(&mut connection, shape).await?;
    let mut applied = Applied::default();
    let mut guarded = false;
    let pending = pending(folder, &before.ledger, settings)?;
    let deleted = deletions(pending.iter().copied())?;
    for migration in pending {
        let id = migration.id();
        progress(Progress::Running(&id));
        let started = Instant::now();
        let mut transaction = begin(&mut connection, settings).await?;
        if !guarded {
            guard(&mut transaction, shape, folder, &deleted, settings).await?;
            guarded = true;
        }
        if run(&mut transaction, migration, started).await? {
            transaction.commit().await.map_err(DatabaseError::from)?;
            progress(Progress::Applied(&id, started.elapsed()));
            applied.migrations.push((id, started.elapsed()));
        }
    }
    let after = introspection::read_snapshot(&mut connection, shape).await?;
    applied.drift = drift(folder, &after, &settings.ignore)?;
    let new = after.unscheduled.into_iter().filter(|schedule| !before.unscheduled.contains(schedule));
    let schedules: Vec<_> = new.collect();
    if !schedules.is_empty() {
        applied.unscheduled = Some(Unscheduled { schedules, reason: UnscheduledReason::of(&detection) });
    }
    connection.close().await.map_err(DatabaseError::from)?;
    if applied.drift.blocks_apply() && !settings.accept_drift {
        return Err(ApplyError::Drift(Box::new(applied.drift)));
    }
    Ok(applied)
}

/// Looks whether [`apply`] would go ahead: whether folder and ledger fit, the role may, and nothing has drifted. Writes
/// nothing; gives the ids of what is pending.
///
/// # Errors
/// Those of [`apply`] that come before a migration runs.
pub async fn check(
    session: &mut Session,
    folder: &Folder,
    settings: &ApplySettings,
) -> Result<Vec<String>, ApplyError> {
    let live = session.read_live().await?;
    let pending = pending(folder, &live.ledger, settings)?;
    let mut deleted = deletions(pending.iter().copied())?;
    deleted.extend(settings.to_delete.iter().cloned());
    let drift = drift(folder, &live, &settings.ignore)?.without(&deleted);
    if drift.blocks_apply() && !settings.accept_drift {
        return Err(ApplyError::Drift(Box::new(drift)));
    }
    sqlx::raw_sql(include_str!("may_apply.sql")).execute(&mut session.connection).await.map_err(DatabaseError::from)?;
    Ok(pending.into_iter().map(Migration::id).collect())
}

/// The shape of a database that has a ledger.
fn shape(session: &Session) -> Result<LiveShape, ApplyError> {
    let shape = session.shape()?;
    if shape.ledger { Ok(shape) } else { Err(ApplyError::NoLedger) }
}

/// The migrations to run, in order.
fn pending<'a>(
    folder: &'a Folder,
    ledger: &[LedgerEntry],
    settings: &ApplySettings,
) -> Result<Vec<&'a Migration>, ApplyError> {
    let status = Status::new(folder.migrations(), ledger);
    let named = |state| status.in_state(&[state]).map(|migration| migration.id.clone()).collect::<Vec<_>>();
    let (edited, missing) = (named(MigrationState::Edited), named(MigrationState::Missing));
    if !edited.is_empty() {
        return Err(ApplyError::Edited(edited));
    }
    if !missing.is_empty() {
        return Err(ApplyError::Missing(missing));
    }
    let late = named(MigrationState::OutOfOrder);
    if !late.is_empty() && !settings.out_of_order {
        return Err(ApplyError::OutOfOrder(late));
    }
    let pending = status.pending();
    Ok(folder.migrations().iter().filter(|migration| pending.contains(&migration.id().as_str())).collect())
}

/// Opens a transaction that holds the lock and keeps to the time limits.
async fn begin<'c>(
    connection: &'c mut PgConnection,
    settings: &ApplySettings,
) -> Result<sqlx::Transaction<'c, sqlx::Postgres>, ApplyError> {
    let mut transaction = connection.begin().await.map_err(DatabaseError::from)?;
    let limits = format!(
        "set transaction isolation level read committed, read write; set local lock_timeout = {}; set local statement_timeout = {}",
        settings.lock_timeout.as_millis(),
        settings.statement_timeout.as_millis()
    );
    sqlx::raw_sql(AssertSqlSafe(limits)).execute(&mut *transaction).await.map_err(DatabaseError::from)?;
    match database::take(&mut transaction).await? {
        Lock::Taken => Ok(transaction),
        Lock::Held(holder) => Err(ApplyError::Locked { waited: settings.lock_timeout, holder }),
    }
}

/// Refuses where the database is not what was applied to it, but for what is `deleted`, by database slug; notes it in the
/// events where that is accepted.
async fn guard(
    connection: &mut PgConnection,
    shape: LiveShape,
    folder: &Folder,
    deleted: &BTreeSet<String>,
    settings: &ApplySettings,
) -> Result<(), ApplyError> {
    let live = introspection::read(connection, shape).await?;
    let drift = drift(folder, &live, &settings.ignore)?.without(deleted);
    if !drift.blocks_apply() {
        return Ok(());
    }
    if !settings.accept_drift {
        return Err(ApplyError::Drift(Box::new(drift)));
    }
    let flows: Vec<String> = drift.changes.iter().map(|change| change.id().to_string()).collect();
    sqlx::query(include_str!("accept_drift.sql"))
        .persistent(false)
        .bind(flows)
        .bind(drift.summary())
        .execute(connection)
        .await
        .map_err(DatabaseError::from)?;
    Ok(())
}

/// Runs one migration and completes its ledger row. False where another apply has run it meanwhile.
async fn run(connection: &mut PgConnection, migration: &Migration, started: Instant) -> Result<bool, ApplyError> {
    let failed = |error: sqlx::Error| ApplyError::Migration { id: migration.id(), source: DatabaseError::from(error) };
    let version = migration.version.to_string();
    let recorded: bool = sqlx::query_scalar("select exists (select 1 from flowsmith.migrations where version = $1)")
        .persistent(false)
        .bind(&version)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if recorded {
        return Ok(false);
    }
    sqlx::raw_sql(AssertSqlSafe(migration.content.clone())).execute(&mut *connection).await.map_err(failed)?;
    let completed = sqlx::query(include_str!("record.sql"))
        .persistent(false)
        .bind(&version)
        .bind(migration.checksum())
        .bind(i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX))
        .bind(env!("CARGO_PKG_VERSION"))
        .execute(connection)
        .await
        .map_err(failed)?;
    if completed.rows_affected() == 1 { Ok(true) } else { Err(ApplyError::NotRecorded(migration.id())) }
}
