//! Installs the engine and the schema `flowsmith` in a database.
//!
//! `install` detects the engine, refuses databases that it must not change, installs pgmq, and runs the script that
//! `install_script` returns in one transaction under flowsmith's lock. The script itself checks and records which
//! parts it runs, so running it with psql has the same effect.

mod error;
mod script;

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, Row};

pub use error::{INCOMPLETE_HELP, InstallError};
pub use script::{install_script, script_of};

use super::Level;
use super::detect::{Detection, EngineKind, EngineState, PgmqState, detect};
use super::roles::{self, RolePrefix, grants_script};
use super::scripts::{ENGINE, newest_engine};
use crate::database::transaction::{Opening, Transaction, send};
use crate::database::{self, DatabaseError, Failure, Lock, LockObject, Target};

/// The oldest supported version of pgmq.
pub(crate) const OLDEST_PGMQ: [u32; 3] = [1, 4, 4];

/// The longest wait for the lock and for each lock on a table.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The oldest supported server, as `server_version_num`.
pub(crate) const OLDEST_SERVER: i32 = 140_000;

/// The form of the input that `start_tasks` passes to a single step. It is chosen when the engine is installed and cannot change
/// afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputStyle {
    /// The outputs of the step's dependencies, as in level 0.14.
    #[default]
    Separate,
    /// The outputs of the step's dependencies and the run's input under the key `run`, for workers of levels 0.7 and 0.8.
    Merged,
}

impl InputStyle {
    /// The value that the database stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Separate => "separate",
            Self::Merged => "merged",
        }
    }
}

/// The result of an install.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InstallReport {
    /// What was done about pgmq.
    pub pgmq: PgmqAction,
    /// What was done about the engine.
    pub engine: EngineAction,
    /// The state of the database afterwards.
    pub database: Detection,
    /// Prefixes of roles that lack privileges which this version needs, because `install --grants` was not repeated for them.
    pub outdated_roles: Vec<String>,
}

/// What an install did about pgmq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PgmqAction {
    /// pgmq was already installed.
    Kept,
    /// `create extension` was run.
    CreatedExtension,
    /// Installed as plain SQL, because the server does not provide the extension.
    InstalledSql,
    /// Installed as plain SQL, because the role may not create the extension.
    InstalledSqlForLackOfRights,
}

/// What an install did about the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineAction {
    /// Installed at this version; the database had no engine.
    Installed(i32),
    /// An older version of flowsmith's engine was upgraded.
    Upgraded {
        /// The previous version.
        from: i32,
        /// The new version.
        to: i32,
    },
    /// flowsmith's engine was already installed at this version or a newer one.
    UpToDate(i32),
    /// The database has an official engine of this level, which was left unchanged.
    LeftOfficial(Level),
}

/// Installs or upgrades the parts that a database lacks. An official engine is left unchanged.
///
/// # Errors
/// See [`InstallError`]. The database is then unchanged, except that pgmq may have been installed.
pub async fn install(options: &PgConnectOptions, input_style: InputStyle) -> Result<InstallReport, InstallError> {
    connect_and_install(options, install_script(input_style), false, LOCK_TIMEOUT).await
}

/// As [`install`], with another limit for the wait for each lock, for tests.
///
/// # Errors
/// As [`install`].
#[doc(hidden)]
pub async fn install_within(
    options: &PgConnectOptions,
    input_style: InputStyle,
    lock_timeout: Duration,
) -> Result<InstallReport, InstallError> {
    connect_and_install(options, install_script(input_style), false, lock_timeout).await
}

/// Like [`install`], and in the same transaction creates the missing roles of a prefix and grants each role exactly the
/// privileges that it needs.
///
/// # Errors
/// See [`InstallError`]. An official engine is refused.
pub async fn install_with_roles(
    options: &PgConnectOptions,
    input_style: InputStyle,
    roles: &RolePrefix,
) -> Result<InstallReport, InstallError> {
    let script = format!("{}\n{}", install_script(input_style), grants_script(roles));
    connect_and_install(options, script, true, LOCK_TIMEOUT).await
}

async fn connect_and_install(
    options: &PgConnectOptions,
    script: String,
    requires_flowsmith_engine: bool,
    lock_timeout: Duration,
) -> Result<InstallReport, InstallError> {
    let target = Target::new(options.clone());
    let mut connection = target.connect().await?;
    let before = detect(&mut connection).await?;
    refuse(&before)?;
    if requires_flowsmith_engine && matches!(before.engine, EngineState::Present { kind: EngineKind::Official, .. }) {
        return Err(InstallError::ForeignEngine);
    }
    if creates_a_schema(&before) {
        require_create_privilege(&mut connection).await?;
    }
    let pgmq = match before.pgmq {
        PgmqState::Missing => install_pgmq(&target, &mut connection).await?,
        _ => PgmqAction::Kept,
    };

    // The session that holds a lock for longer, such as a large apply, is reported.
    let opening = Opening::write().lock_timeout(lock_timeout);
    let mut transaction = Transaction::begin(&mut connection, opening).await?;
    let asked = Instant::now();
    let owns_lock: bool = transaction.query(include_str!("owns_lock.sql")).value().await?;
    let lock = if owns_lock { LockObject::Ledger } else { LockObject::Advisory };
    if let Lock::HeldElsewhere(holder) = database::acquire_lock(&mut transaction, lock).await? {
        return Err(InstallError::Locked { waited: asked.elapsed(), holder });
    }
    transaction.send(script).await?;
    transaction.commit().await?;

    let database = detect(&mut connection).await?;
    let outdated_roles = match &database.engine {
        EngineState::Present { kind: EngineKind::Flowsmith { .. }, .. } => roles::outdated(&mut connection).await?,
        _ => Vec::new(),
    };
    Ok(InstallReport { pgmq, engine: action(&before, &database), database, outdated_roles })
}

/// Refuses databases that `install` must not change.
fn refuse(database: &Detection) -> Result<(), InstallError> {
    if database.server_version < OLDEST_SERVER {
        return Err(InstallError::OldServer(database.server_version));
    }
    if let EngineState::Incomplete { closest, lacks, .. } = &database.engine {
        return Err(InstallError::Incomplete { closest: *closest, lacks: lacks.clone() });
    }
    if database.engine == EngineState::Missing {
        return match &database.pgmq {
            PgmqState::Missing => Ok(()),
            pgmq if pgmq.is_older_than(OLDEST_PGMQ) => Err(InstallError::OldPgmq(pgmq.clone())),
            _ => Ok(()),
        };
    }
    for recorded in &database.recorded {
        let Some(script) = ENGINE.iter().find(|script| script.version == recorded.version) else { continue };
        if script.checksum() != recorded.checksum {
            return Err(InstallError::Edited {
                name: script.name,
                installed: recorded.checksum.clone(),
                expected: script.checksum(),
            });
        }
    }
    Ok(())
}

/// Whether a schema has to be created.
fn creates_a_schema(database: &Detection) -> bool {
    database.engine == EngineState::Missing || database.pgmq == PgmqState::Missing || !database.has_flowsmith_schema
}

async fn require_create_privilege(connection: &mut PgConnection) -> Result<(), InstallError> {
    let rows = send(connection, Opening::snapshot(), include_str!("may_create.sql")).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    if row.try_get("allowed")? {
        return Ok(());
    }
    let right = format!("CREATE on database {}", row.try_get::<String, _>("database")?);
    Err(InstallError::MissingRight { role: row.try_get("role")?, right })
}

/// Creates the extension if the server provides it and the role may create it, otherwise installs plain SQL.
async fn install_pgmq(target: &Target, connection: &mut PgConnection) -> Result<PgmqAction, InstallError> {
    let available = "select from pg_catalog.pg_available_extensions where name = 'pgmq'";
    let available = !send(connection, Opening::snapshot(), available).await?.is_empty();
    if available {
        let created = send(connection, Opening::write(), "create extension if not exists pgmq").await;
        match created.map_err(DatabaseError::from) {
            Ok(_) => return Ok(PgmqAction::CreatedExtension),
            Err(error) if error.failure() == Failure::Permission => {}
            Err(error) => return Err(error.into()),
        }
    }
    // pgmq's installer accepts only a pool, and runs its statements in one transaction of it.
    let pool = target.pool_in_a_transaction().await?;
    let installed = pgmq::install::install_sql_from_embedded(&pool).await;
    pool.close().await;
    installed?;
    Ok(if available { PgmqAction::InstalledSqlForLackOfRights } else { PgmqAction::InstalledSql })
}

fn action(before: &Detection, after: &Detection) -> EngineAction {
    let version = |database: &Detection| match database.engine {
        EngineState::Present { kind: EngineKind::Flowsmith { version }, .. } => Some(version),
        _ => None,
    };
    match (&after.engine, version(before), version(after)) {
        (EngineState::Present { level, kind: EngineKind::Official, .. }, ..) => EngineAction::LeftOfficial(*level),
        (_, Some(from), Some(to)) if from == to => EngineAction::UpToDate(to),
        (_, Some(from), Some(to)) => EngineAction::Upgraded { from, to },
        (_, _, to) => EngineAction::Installed(to.unwrap_or_else(newest_engine)),
    }
}
