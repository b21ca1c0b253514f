//! Applies pending migrations. This is the only way in which flowsmith changes flow definitions in a database.
//!
//! Each migration runs in one transaction: lock, check the ledger, check for drift (before the first one), run, record,
//! commit. If the process is killed at any point, the database is in the state before or after a migration.

mod error;
mod unscheduled;

pub use crate::database::LockHolder;
pub use error::ApplyError;
pub use unscheduled::{Unscheduled, UnscheduledReason};

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::database::transaction::{Opening, Transaction, send};
use crate::database::{self, DatabaseError, Lock, LockObject};
use crate::drift::{Drift, drift};
use crate::introspection::{self, Live, LiveShape};
use crate::ledger::{LedgerEntry, MigrationState, Status};
use crate::session::Session;
use flowsmith_core::catalog::Ignore;
use flowsmith_core::migration::{Folder, Migration, ReplayError, changed, deletions};

/// Settings of an apply.
#[derive(Debug, Clone)]
pub struct ApplySettings {
    /// The longest wait for another apply, and for each lock on a table.
    pub lock_timeout: Duration,
    /// The longest time that a statement of a migration may take.
    pub statement_timeout: Duration,
    /// Continue if the database has drifted.
    pub accept_drift: bool,
    /// Run pending migrations that are older than the newest applied one.
    pub out_of_order: bool,
    /// Flows in the database to ignore.
    pub ignore: Ignore,
    /// Database slugs of flow versions that a migration not yet written will delete. [`check`] ignores drift of their
    /// definitions, as for pending deletions.
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

/// The result of an apply.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// Ids and durations of the migrations that ran.
    pub migrations: Vec<(String, Duration)>,
    /// New schedules that pg_cron does not run.
    pub unscheduled: Option<Unscheduled>,
    /// The remaining drift; empty unless drift was accepted.
    pub drift: Drift,
}

/// Progress of an apply; migrations are named by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The migration starts.
    Running(&'a str),
    /// The migration was committed after this time. A later failure does not undo it.
    Applied(&'a str, Duration),
}

/// Runs every pending migration of a folder and reports each to `progress`.
///
/// # Errors
/// Any [`ApplyError`]. Migrations that were committed before the error stay applied; the failed one is rolled back.
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
    refuse_unreadable(&pending, &before)?;
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
        let edit = folder.edited().iter().find(|(edited, _)| *edited == id).map(|(_, edit)| edit);
        if run(&mut transaction, migration, edit, started).await? {
            transaction.commit().await?;
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

/// Checks the preconditions of [`apply`]: the folder matches the ledger, the role has the privileges, and nothing has drifted.
/// Writes nothing, and returns the ids of the pending migrations.
///
/// # Errors
/// Those of [`apply`] that occur before a migration runs.
pub async fn check(
    session: &mut Session,
    folder: &Folder,
    settings: &ApplySettings,
) -> Result<Vec<String>, ApplyError> {
    let live = session.read_live().await?;
    let pending = pending(folder, &live.ledger, settings)?;
    refuse_unreadable(&pending, &live)?;
    let mut deleted = deletions(pending.iter().copied())?;
    deleted.extend(settings.to_delete.iter().cloned());
    let drift = drift(folder, &live, &settings.ignore)?.without(&deleted);
    if drift.blocks_apply() && !settings.accept_drift {
        return Err(ApplyError::Drift(Box::new(drift)));
    }
    let may_apply = send(&mut session.connection, Opening::snapshot(), include_str!("may_apply.sql")).await;
    may_apply.map_err(DatabaseError::from)?;
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

/// Refuses migrations of flows whose definitions in the ledger cannot be read. Migrations of other flows run.
fn refuse_unreadable(pending: &[&Migration], live: &Live) -> Result<(), ApplyError> {
    if live.unreadable.is_empty() {
        return Ok(());
    }
    let mut refused = BTreeSet::new();
    for migration in pending {
        refused.extend(changed(migration)?.into_iter().filter(|slug| live.unreadable.contains(slug)));
    }
    if refused.is_empty() { Ok(()) } else { Err(ApplyError::Unreadable(refused.into_iter().collect())) }
}

/// Opens a transaction with the time limits and takes the lock in it.
async fn begin<'c>(connection: &'c mut PgConnection, settings: &ApplySettings) -> Result<Transaction<'c>, ApplyError> {
    let opening = Opening::write().lock_timeout(settings.lock_timeout).statement_timeout(settings.statement_timeout);
    let mut transaction = Transaction::begin(connection, opening).await?;
    match database::acquire_lock(&mut transaction, LockObject::Ledger).await? {
        Lock::Acquired => Ok(transaction),
        Lock::HeldElsewhere(holder) => Err(ApplyError::Locked { waited: settings.lock_timeout, holder }),
    }
}

/// Refuses a drifted database, ignoring the definitions of `deleted` (database slugs). Records accepted drift in
/// `flowsmith.events`.
async fn guard(
    transaction: &mut Transaction<'_>,
    shape: LiveShape,
    folder: &Folder,
    deleted: &BTreeSet<String>,
    settings: &ApplySettings,
) -> Result<(), ApplyError> {
    let live = introspection::read(transaction, shape).await?;
    let drift = drift(folder, &live, &settings.ignore)?.without(deleted);
    if !drift.blocks_apply() {
        return Ok(());
    }
    if !settings.accept_drift {
        return Err(ApplyError::Drift(Box::new(drift)));
    }
    let flows: Vec<String> = drift.changes.iter().map(|change| change.id().to_string()).collect();
    let query = transaction.query(include_str!("accept_drift.sql")).bind(flows).bind(drift.summary());
    query.execute().await.map_err(DatabaseError::from)?;
    Ok(())
}

/// Runs one migration and completes its ledger row. Returns false if another apply has run it in the meantime.
/// Records an accepted `edit` of its file.
async fn run(
    transaction: &mut Transaction<'_>,
    migration: &Migration,
    edit: Option<&ReplayError>,
    started: Instant,
) -> Result<bool, ApplyError> {
    let failed = |error: sqlx::Error| ApplyError::Migration { id: migration.id(), source: DatabaseError::from(error) };
    let version = migration.version.to_string();
    let recorded = transaction.query("select exists (select 1 from flowsmith.migrations where version = $1)");
    let recorded: bool = recorded.bind(&version).value().await.map_err(failed)?;
    if recorded {
        return Ok(false);
    }
    transaction.send(migration.content.as_str()).await.map_err(failed)?;
    let completed = transaction
        .query(include_str!("record.sql"))
        .bind(&version)
        .bind(migration.checksum())
        .bind(i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX))
        .bind(env!("CARGO_PKG_VERSION"))
        .value::<bool>()
        .await
        .map_err(failed)?;
    if !completed {
        return Err(ApplyError::NotRecorded(migration.id()));
    }
    if let Some(edit) = edit {
        let record = transaction.query(include_str!("record_edit.sql")).bind(&version).bind(edit.to_string());
        record.execute().await.map_err(failed)?;
    }
    Ok(true)
}
