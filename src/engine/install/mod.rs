//! Brings the engine, and flowsmith's own schema, into a database.
//!
//! `install` looks, refuses what it must not touch, sees to pgmq, and then runs the very script that `install_script`
//! returns, in one transaction under flowsmith's advisory lock. The script asks what is there and records what it runs, so
//! running it with psql comes to the same.

mod error;
mod script;

use std::time::Instant;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

pub use error::InstallError;
pub use script::{install_script, install_script_of};

use super::Level;
use super::detect::{Detection, EngineKind, EngineState, PgmqState, detect};
use super::roles::{self, RolePrefix, grants_script};
use super::scripts::{ENGINE, newest_engine};
use crate::database::{self, DatabaseError, Failure, Lock, Target};

/// The oldest pgmq that the engine works with.
pub const OLDEST_PGMQ: [u32; 3] = [1, 4, 4];

/// The oldest server, as `server_version_num`.
pub const OLDEST_SERVER: i32 = 140_000;

/// What `start_tasks` puts into the input of a single step. Chosen when the engine is installed, and kept from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputStyle {
    /// The outputs of its dependencies, as level 0.14 has it.
    #[default]
    Separate,
    /// These, and the run's input under the key `run`, for workers of levels 0.7 and 0.8.
    Merged,
}

impl InputStyle {
    /// The word that the database holds.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Separate => "separate",
            Self::Merged => "merged",
        }
    }
}

/// What an install did.
#[derive(Debug, Clone, PartialEq)]
pub struct InstallReport {
    /// About pgmq.
    pub pgmq: PgmqAction,
    /// About the engine.
    pub engine: EngineAction,
    /// The database afterwards.
    pub database: Detection,
    /// Prefixes of roles that lack rights which this version needs: of an earlier `install --grants`, not repeated yet.
    pub outdated_roles: Vec<String>,
}

/// What an install did about pgmq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PgmqAction {
    /// It was there.
    Kept,
    /// `create extension`.
    CreatedExtension,
    /// Brought as plain SQL, because the server does not have the extension.
    InstalledSql,
    /// Brought as plain SQL, because the role may not create the extension that the server has.
    InstalledSqlForLackOfRights,
}

/// What an install did about the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineAction {
    /// There was none: installed, up to this version.
    Installed(i32),
    /// An older version of flowsmith's was there.
    Upgraded {
        /// The version before.
        from: i32,
        /// The version now.
        to: i32,
    },
    /// flowsmith's was there, in this version or a newer one than this program has.
    UpToDate(i32),
    /// An official one of this level was there.
    LeftOfficial(Level),
}

/// Installs or upgrades what a database lacks. An official engine is left as it is.
///
/// # Errors
/// See [`InstallError`]; the database is then as it was, save perhaps for pgmq.
pub async fn install(options: &PgConnectOptions, input_style: InputStyle) -> Result<InstallReport, InstallError> {
    connect_and_install(options, install_script(input_style), false).await
}

/// The same, and in the same transaction brings the three roles of a prefix up to date: makes those that are missing, and
/// grants each what it needs and nothing else.
///
/// # Errors
/// See [`InstallError`]; an official engine is refused.
pub async fn install_with_roles(
    options: &PgConnectOptions,
    input_style: InputStyle,
    roles: &RolePrefix,
) -> Result<InstallReport, InstallError> {
    connect_and_install(options, format!("{}\n{}", install_script(input_style), grants_script(roles)), true).await
}

async fn connect_and_install(
    options: &PgConnectOptions,
    script: String,
    only_ours: bool,
) -> Result<InstallReport, InstallError> {
    let target = Target::new(options.clone());
    let mut connection = target.connect().await?;
    let before = detect(&mut connection).await?;
    refuse(&before)?;
    if only_ours && matches!(before.engine, EngineState::Present { kind: EngineKind::Official, .. }) {
        return Err(InstallError::ForeignEngine);
    }
    if lacks_something(&before) {
        require_create(&mut connection).await?;
    }
    let pgmq = match before.pgmq {
        PgmqState::Missing => bring_pgmq(&target, &mut connection).await?,
        _ => PgmqAction::Kept,
    };

    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(include_str!("limits.sql")).execute(&mut *transaction).await?;
    let asked = Instant::now();
    if let Lock::Held(holder) = database::take(&mut transaction).await? {
        return Err(InstallError::Locked { waited: asked.elapsed(), holder });
    }
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut *transaction).await?;
    transaction.commit().await?;

    let database = detect(&mut connection).await?;
    let outdated_roles = match &database.engine {
        EngineState::Present { kind: EngineKind::Flowsmith { .. }, .. } => roles::outdated(&mut connection).await?,
        _ => Vec::new(),
    };
    Ok(InstallReport { pgmq, engine: action(&before, &database), database, outdated_roles })
}

/// What must not be touched.
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

/// Whether a schema has to be made.
fn lacks_something(database: &Detection) -> bool {
    database.engine == EngineState::Missing || database.pgmq == PgmqState::Missing || !database.has_flowsmith_schema
}

async fn require_create(connection: &mut PgConnection) -> Result<(), InstallError> {
    let row = sqlx::raw_sql(include_str!("may_create.sql")).fetch_one(connection).await?;
    if row.try_get("allowed")? {
        return Ok(());
    }
    let right = format!("CREATE on database {}", row.try_get::<String, _>("database")?);
    Err(InstallError::MissingRight { role: row.try_get("role")?, right })
}

/// The extension where the server has it and the role may, else plain SQL.
async fn bring_pgmq(target: &Target, connection: &mut PgConnection) -> Result<PgmqAction, InstallError> {
    let available = sqlx::raw_sql("select from pg_available_extensions where name = 'pgmq'")
        .fetch_optional(&mut *connection)
        .await?
        .is_some();
    if available {
        let created = sqlx::raw_sql("create extension if not exists pgmq").execute(&mut *connection).await;
        match created.map_err(DatabaseError::from) {
            Ok(_) => return Ok(PgmqAction::CreatedExtension),
            Err(error) if error.failure() == Failure::Permission => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Its installer takes a pool.
    let pool = target.pool_of_one().await?;
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
