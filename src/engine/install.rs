//! Brings the engine, and flowsmith's own schema, into a database.
//!
//! `install` looks, refuses what it must not touch, sees to pgmq, and then runs the very script that `install_script`
//! returns, in one transaction under flowsmith's advisory lock. The script asks what is there and records what it runs, so
//! running it with psql comes to the same.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::Level;
use super::detect::{DetectError, Detection, EngineKind, EngineState, PgmqState, detect};
use super::facts::Fact;
use super::scripts::{ENGINE, LEDGER, Script, newest_engine};
use crate::database::{DatabaseError, Failure, Target};
use crate::migration::quote;

/// The oldest pgmq that the engine works with.
pub const OLDEST_PGMQ: [u32; 3] = [1, 4, 4];

/// The oldest server, as `server_version_num`.
pub const OLDEST_SERVER: i32 = 140_000;

/// The lock that everything which writes takes, as `flowsmith.lock_key()` has it.
const LOCK_KEY: i64 = 7_380_396_448_181_741_940;

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

/// Why an install did not happen. Nothing is half done: the schema parts are one transaction.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The server is too old.
    #[error("the server is PostgreSQL {}, but the engine needs 14 or later: upgrade the server", .0 / 10_000)]
    OldServer(i32),
    /// pgmq is too old.
    #[error(
        "pgmq is too old ({0}): the engine needs 1.4.4 or later; run `alter extension pgmq update`, or its SQL upgrade"
    )]
    OldPgmq(PgmqState),
    /// Some of an engine is there, not all.
    #[error(
        "the schema pgflow holds part of an engine only: of level {closest} it lacks {}. Finish that install with the tool \
         that began it, or, where nothing in it is needed, `drop schema pgflow cascade` and install again",
        .lacks.join("; ")
    )]
    Incomplete {
        /// The level of which least is missing.
        closest: Level,
        /// What is missing of it.
        lacks: Vec<Fact>,
    },
    /// A file that is installed is not the one that this program has.
    #[error(
        "engine file {name} was installed from another text than this flowsmith has (SHA-256 {installed}, here {expected}): \
         released files are never edited, so use the flowsmith that installed it, or an unmodified one"
    )]
    Edited {
        /// The file.
        name: &'static str,
        /// The checksum that the database holds.
        installed: String,
        /// The checksum of the file in this program.
        expected: String,
    },
    /// The role may not.
    #[error(
        "the role {role} lacks the right {right}: let an owner run `grant {right} to {role}`, or install as another role"
    )]
    MissingRight {
        /// Who asked.
        role: String,
        /// As it is written in GRANT: `CREATE on database x`.
        right: String,
    },
    /// pgmq's own installer failed.
    #[error("pgmq could not be installed as plain SQL: {0}")]
    Pgmq(#[from] pgmq::PgmqError),
    /// The database could not be looked at.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The database refused something else.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl InstallError {
    /// The stable code, with a page in the documentation. What to do is part of each message of its own.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OldServer(_) => "FS921",
            Self::OldPgmq(_) => "FS922",
            Self::Incomplete { .. } => "FS918",
            Self::Edited { .. } => "FS923",
            Self::MissingRight { .. } => "FS905",
            Self::Pgmq(_) => "FS924",
            Self::Detect(error) => error.code(),
            Self::Database(error) => error.code(),
        }
    }
}

impl From<sqlx::Error> for InstallError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Installs or upgrades what a database lacks. An official engine is left as it is.
///
/// # Errors
/// See [`InstallError`]; the database is then as it was, save perhaps for pgmq.
pub async fn install(options: &PgConnectOptions, input_style: InputStyle) -> Result<InstallReport, InstallError> {
    // pgmq's installer takes a pool.
    let pool =
        PgPoolOptions::new().max_connections(1).connect_with(Target::new(options.clone()).options().clone()).await?;
    let report = install_with(&pool, input_style).await;
    pool.close().await;
    report
}

async fn install_with(pool: &PgPool, input_style: InputStyle) -> Result<InstallReport, InstallError> {
    let before = {
        let mut connection = pool.acquire().await?;
        let before = detect(&mut connection).await?;
        refuse(&before)?;
        if lacks_something(&before) {
            require_create(&mut connection).await?;
        }
        before
    };
    let pgmq = if before.pgmq == PgmqState::Missing { bring_pgmq(pool).await? } else { PgmqAction::Kept };

    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    // Whoever holds the lock for longer is applying something large: better said than waited for in silence.
    sqlx::raw_sql("set local lock_timeout = '10s'").execute(&mut *transaction).await?;
    sqlx::raw_sql(AssertSqlSafe(install_script(input_style))).execute(&mut *transaction).await?;
    transaction.commit().await?;

    let database = detect(&mut connection).await?;
    Ok(InstallReport { pgmq, engine: action(&before, &database), database })
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
async fn bring_pgmq(pool: &PgPool) -> Result<PgmqAction, InstallError> {
    let mut connection = pool.acquire().await?;
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
    drop(connection);
    pgmq::install::install_sql_from_embedded(pool).await?;
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

/// Everything that `install` runs besides pgmq, as SQL for psql or another migration tool. Safe to run again.
pub fn install_script(input_style: InputStyle) -> String {
    let scripts = || LEDGER.iter().chain(ENGINE).map(|script| script.sql);
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    templates.add_filter("literal", |text: &str| quote::literal(text));
    templates
        .render_str(
            include_str!("../../templates/install.sql"),
            Serde(ScriptContext {
                tool_version: env!("CARGO_PKG_VERSION"),
                lock_key: LOCK_KEY,
                input_style: input_style.as_str(),
                outer: quote::dollar_tag("install", scripts()),
                inner: quote::dollar_tag("script", scripts()),
                ledger: rendered(LEDGER),
                engine: rendered(ENGINE),
            }),
        )
        .expect("the template in the binary is well-formed, as the tests render it")
}

/// What the template is rendered with.
#[derive(Serialize)]
struct ScriptContext {
    tool_version: &'static str,
    lock_key: i64,
    input_style: &'static str,
    outer: String,
    inner: String,
    ledger: Vec<Rendered>,
    engine: Vec<Rendered>,
}

/// A script as the template sees it.
#[derive(Serialize)]
struct Rendered {
    version: i32,
    name: &'static str,
    sql: &'static str,
    checksum: String,
}

fn rendered(scripts: &[Script]) -> Vec<Rendered> {
    scripts
        .iter()
        .map(|script| Rendered {
            version: script.version,
            name: script.name,
            sql: script.sql,
            checksum: script.checksum(),
        })
        .collect()
}
