//! Audits a database: is what it needs there, is it what it should be, and does it work.

use serde::Deserialize;
use sqlx::{Connection, PgConnection, Row};

use super::detect::{DetectError, Detection, EngineKind, EngineState, PgmqState, detect};
use super::install::{OLDEST_PGMQ, OLDEST_SERVER};
use super::roles::RoleAudit;
use super::schema;
use super::scripts::{ENGINE, newest_engine};
use crate::database::{DatabaseError, Failure};

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

/// A row of the self-test's answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestedPart {
    name: String,
    status: CheckStatus,
    detail: String,
}

/// Audits a database. Whatever the self-test makes is rolled back.
///
/// # Errors
/// Where the connection fails; everything else is a check.
pub async fn doctor(connection: &mut PgConnection) -> Result<Vec<DoctorCheck>, DetectError> {
    let database = detect(connection).await?;
    let mut checks = vec![server(&database), pgmq(&database), engine(&database)];
    if let EngineState::Present { kind, .. } = database.engine {
        if let EngineKind::Flowsmith { version } = kind {
            checks.push(engine_version(&database, version));
            checks.push(engine_schema(connection, version).await?);
            checks.extend(roles(connection).await?);
        }
        checks.extend([grants(&database), events(&database), recovery(&database)]);
        checks.extend(self_test(connection).await?);
    }
    Ok(checks)
}

fn server(database: &Detection) -> DoctorCheck {
    const NAME: &str = "server version";
    let version = format!("PostgreSQL {}.{}", database.server_version / 10_000, database.server_version % 10_000);
    if database.server_version < OLDEST_SERVER {
        return DoctorCheck::found(CheckStatus::Failed, NAME, version, "upgrade to PostgreSQL 14 or later");
    }
    DoctorCheck::ok(NAME, version)
}

fn pgmq(database: &Detection) -> DoctorCheck {
    const NAME: &str = "pgmq version";
    let detail = database.pgmq.to_string();
    match &database.pgmq {
        PgmqState::Missing => DoctorCheck::found(CheckStatus::Failed, NAME, detail, "run `flowsmith install`"),
        pgmq if pgmq.is_older_than(OLDEST_PGMQ) => {
            DoctorCheck::found(CheckStatus::Failed, NAME, detail, "upgrade pgmq to 1.4.4 or later")
        }
        PgmqState::Sql { version: None, has_headers: false } => {
            DoctorCheck::found(CheckStatus::Warning, NAME, detail, "make sure that it is 1.4.4 or later")
        }
        _ => DoctorCheck::ok(NAME, detail),
    }
}

fn engine(database: &Detection) -> DoctorCheck {
    const NAME: &str = "engine";
    match &database.engine {
        EngineState::Missing => {
            DoctorCheck::found(CheckStatus::Failed, NAME, "there is none", "run `flowsmith install`")
        }
        EngineState::Incomplete { closest, lacks, .. } => DoctorCheck::found(
            CheckStatus::Failed,
            NAME,
            format!("part of one: of level {closest} it lacks {}", lacks.join("; ")),
            "finish the install with the tool that began it",
        ),
        EngineState::Present { level, kind: EngineKind::Official, .. } => {
            DoctorCheck::ok(NAME, format!("official, level {level}"))
        }
        EngineState::Present { level, kind: EngineKind::Flowsmith { version }, .. } => {
            DoctorCheck::ok(NAME, format!("flowsmith's, version {version}, level {level}"))
        }
    }
}

/// Whether each recorded file is the one in this program, and none is newer.
fn engine_version(database: &Detection, version: i32) -> DoctorCheck {
    const NAME: &str = "engine version";
    let edited = ENGINE.iter().find(|script| {
        database.recorded.iter().any(|row| row.version == script.version && row.checksum != script.checksum())
    });
    if let Some(script) = edited {
        return DoctorCheck::found(
            CheckStatus::Failed,
            NAME,
            format!("{} was installed from another text than this flowsmith has", script.name),
            "use the flowsmith that installed it, or an unmodified one",
        );
    }
    let newest = newest_engine();
    let detail = format!("{version}, and this flowsmith has {newest}");
    match version.cmp(&newest) {
        std::cmp::Ordering::Equal => DoctorCheck::ok(NAME, detail),
        std::cmp::Ordering::Less => {
            DoctorCheck::found(CheckStatus::Warning, NAME, detail, "run `flowsmith install` to upgrade it")
        }
        std::cmp::Ordering::Greater => DoctorCheck::found(CheckStatus::Warning, NAME, detail, "use a newer flowsmith"),
    }
}

/// Line by line, so that a function which was edited in place is seen too.
async fn engine_schema(connection: &mut PgConnection, version: i32) -> Result<DoctorCheck, DatabaseError> {
    const NAME: &str = "engine schema";
    if version != newest_engine() {
        return Ok(DoctorCheck::skipped(NAME, "only the newest version's schema is known"));
    }
    let differences = schema::differences(&schema::read(connection).await?);
    if differences.is_empty() {
        return Ok(DoctorCheck::ok(NAME, "as installed"));
    }
    // Something more is odd, something less is broken.
    let broken = differences.iter().any(|line| line.starts_with("lacks"));
    let status = if broken { CheckStatus::Failed } else { CheckStatus::Warning };
    let advice = "somebody changed the engine: put it back, or restore schema pgflow from a backup";
    Ok(DoctorCheck::found(status, NAME, differences.join("\n"), advice))
}

fn grants(database: &Detection) -> DoctorCheck {
    const NAME: &str = "grants";
    if database.public_functions.is_empty() {
        return DoctorCheck::ok(NAME, "PUBLIC may execute nothing");
    }
    DoctorCheck::found(
        CheckStatus::Warning,
        NAME,
        format!("PUBLIC may execute {}", database.public_functions.join(", ")),
        "`revoke execute on all functions in schema pgflow from public`, and grant it to the workers' role",
    )
}

/// One check for each set of three roles; none where there are no roles.
async fn roles(connection: &mut PgConnection) -> Result<Vec<DoctorCheck>, DatabaseError> {
    const NAME: &str = "roles";
    let audits = match super::roles::audit(connection).await {
        Ok(audits) => audits,
        Err(error) if error.failure() == Failure::Permission => {
            return Ok(vec![DoctorCheck::skipped(NAME, error.to_string())]);
        }
        Err(error) => return Err(error),
    };
    let check = |audit: RoleAudit| {
        if audit.missing.is_empty() && audit.extra.is_empty() {
            return DoctorCheck::ok(NAME, format!("those of {} have their rights and no more", audit.prefix));
        }
        let missing = audit.missing.iter().map(|right| format!("lacks: {right}"));
        let extra = audit.extra.iter().map(|right| format!("has: {right}"));
        let detail = missing.chain(extra).collect::<Vec<_>>().join("\n");
        DoctorCheck::found(CheckStatus::Warning, NAME, detail, "run `flowsmith install --grants` again, with their --role-prefix")
    };
    Ok(audits.into_iter().map(check).collect())
}

fn events(database: &Detection) -> DoctorCheck {
    const NAME: &str = "events";
    if database.has_realtime_send {
        return DoctorCheck::ok(NAME, "realtime.send is there");
    }
    let advice = "make realtime.send(jsonb, text, text, boolean); without it every run fails to start";
    DoctorCheck::found(CheckStatus::Failed, NAME, "realtime.send is missing", advice)
}

fn recovery(database: &Detection) -> DoctorCheck {
    const NAME: &str = "recovery of stalled tasks";
    if database.has_pg_cron {
        return DoctorCheck::ok(NAME, "pg_cron is there");
    }
    DoctorCheck::ok(NAME, "no pg_cron: flowsmith's own workers see to it")
}

/// Walks the engine in a transaction that ends in a rollback, on every path: dropping it unfinished rolls back too.
async fn self_test(connection: &mut PgConnection) -> Result<Vec<DoctorCheck>, DetectError> {
    let mut transaction = connection.begin().await.map_err(DatabaseError::from)?;
    let answer = sqlx::raw_sql(include_str!("self_test.sql")).fetch_one(&mut *transaction).await;
    transaction.rollback().await.map_err(DatabaseError::from)?;
    let answer: String = match answer.and_then(|row| row.try_get(0)) {
        Ok(answer) => answer,
        Err(error) => {
            let advice = "the engine is too damaged to be tested: see the checks above";
            let detail = DatabaseError::from(error).to_string();
            return Ok(vec![DoctorCheck::found(CheckStatus::Failed, "self-test", detail, advice)]);
        }
    };
    let parts: Vec<TestedPart> = serde_json::from_str(&answer)?;
    Ok(parts.into_iter().map(DoctorCheck::from).collect())
}

impl From<TestedPart> for DoctorCheck {
    fn from(part: TestedPart) -> Self {
        let advice = (part.status == CheckStatus::Failed).then(|| {
            "the engine does not do what its level says: compare it with an official or a fresh install".to_owned()
        });
        Self { name: format!("self-test: {}", part.name), status: part.status, detail: part.detail, advice }
    }
}
