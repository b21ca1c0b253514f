//! Checks of the server, the schemas, privileges and recovery.

use sqlx::{PgConnection, Row};

use super::{CheckStatus, DoctorCheck};
use crate::database::transaction::{Opening, send};
use crate::database::{DatabaseError, Failure};
use crate::engine::detect::{Detection, EngineKind, EngineState, PgmqState};
use crate::engine::install::{OLDEST_PGMQ, OLDEST_SERVER};
use crate::engine::ownership::{self, FOREIGN_OWNER_HELP};
use crate::engine::roles::{self, RoleAudit};
use crate::engine::schema::{self, SchemaDifferences};
use crate::engine::scripts::{ENGINE, newest_engine, newest_ledger};

pub(super) fn server(database: &Detection) -> DoctorCheck {
    const NAME: &str = "server version";
    let version = format!("PostgreSQL {}.{}", database.server_version / 10_000, database.server_version % 10_000);
    if database.server_version < OLDEST_SERVER {
        return DoctorCheck::found(CheckStatus::Failed, NAME, version, "upgrade the server to PostgreSQL 14 or later");
    }
    DoctorCheck::ok(NAME, version)
}

pub(super) fn pgmq(database: &Detection) -> DoctorCheck {
    const NAME: &str = "pgmq version";
    let detail = database.pgmq.to_string();
    match &database.pgmq {
        PgmqState::Missing => DoctorCheck::found(CheckStatus::Failed, NAME, detail, "run `flowsmith install`"),
        pgmq if pgmq.is_older_than(OLDEST_PGMQ) => {
            DoctorCheck::found(CheckStatus::Failed, NAME, detail, "upgrade pgmq to 1.4.4 or later")
        }
        PgmqState::Sql { version: None, has_headers: false } => {
            DoctorCheck::found(CheckStatus::Warning, NAME, detail, "verify that it is 1.4.4 or later")
        }
        _ => DoctorCheck::ok(NAME, detail),
    }
}

/// Finds objects that an untrusted role owns. Reads the catalog only.
pub(super) async fn owners(connection: &mut PgConnection) -> Result<DoctorCheck, DatabaseError> {
    const NAME: &str = "owners";
    let foreign = ownership::foreign(connection).await?;
    if foreign.is_empty() {
        return Ok(DoctorCheck::ok(NAME, "every object belongs to a trusted role"));
    }
    let detail = foreign.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    Ok(DoctorCheck::found(CheckStatus::Failed, NAME, detail, FOREIGN_OWNER_HELP))
}

pub(super) fn engine(database: &Detection) -> DoctorCheck {
    const NAME: &str = "engine";
    match &database.engine {
        EngineState::Missing => DoctorCheck::found(CheckStatus::Failed, NAME, "none", "run `flowsmith install`"),
        EngineState::Incomplete { closest, lacks, .. } => DoctorCheck::found(
            CheckStatus::Failed,
            NAME,
            format!("incomplete: level {closest} without {}", lacks.join("; ")),
            "finish the installation with the tool that began it, or install into another database",
        ),
        EngineState::Present { level, kind: EngineKind::Official, .. } => {
            DoctorCheck::ok(NAME, format!("official, level {level}"))
        }
        EngineState::Present { level, kind: EngineKind::Flowsmith { version }, .. } => {
            DoctorCheck::ok(NAME, format!("flowsmith's, version {version}, level {level}"))
        }
    }
}

/// Compares the recorded scripts with those in this program.
pub(super) fn engine_version(database: &Detection, version: i32) -> DoctorCheck {
    const NAME: &str = "engine version";
    let edited = ENGINE.iter().find(|script| {
        database.recorded.iter().any(|row| row.version == script.version && row.checksum != script.checksum())
    });
    if let Some(script) = edited {
        return DoctorCheck::found(
            CheckStatus::Failed,
            NAME,
            format!("{} was installed from a different text than this flowsmith has", script.name),
            "use the flowsmith that installed the engine, or an unmodified release",
        );
    }
    let newest = newest_engine();
    let detail = format!("{version}; this flowsmith has {newest}");
    match version.cmp(&newest) {
        std::cmp::Ordering::Equal => DoctorCheck::ok(NAME, detail),
        std::cmp::Ordering::Less => {
            DoctorCheck::found(CheckStatus::Warning, NAME, detail, "run `flowsmith install` to upgrade the engine")
        }
        std::cmp::Ordering::Greater => DoctorCheck::found(CheckStatus::Warning, NAME, detail, "use a newer flowsmith"),
    }
}

/// Compares the schema line by line, which also finds functions that were edited in place.
pub(super) async fn engine_schema(connection: &mut PgConnection, version: i32) -> Result<DoctorCheck, DatabaseError> {
    const NAME: &str = "engine schema";
    if version != newest_engine() {
        return Ok(DoctorCheck::skipped(NAME, "flowsmith knows the schema of the newest version only"));
    }
    let differences = schema::ENGINE.differences(&schema::ENGINE.read(connection).await?);
    let advice = "the engine was changed: revert the change, or restore the listed objects from a backup";
    Ok(as_installed(NAME, &differences, advice))
}

/// The schema `flowsmith`, if it exists. Objects that require flowsmith's engine are not expected beside an official one.
pub(super) async fn ledger_schema(
    connection: &mut PgConnection,
    database: &Detection,
) -> Result<Option<DoctorCheck>, DatabaseError> {
    const NAME: &str = "flowsmith schema";
    let Some(version) = database.ledger else {
        let unknown = DoctorCheck::skipped(NAME, "this role may not read its version");
        return Ok(database.has_flowsmith_schema.then_some(unknown));
    };
    let newest = newest_ledger();
    if version != newest {
        let detail = format!("version {version}; this flowsmith has {newest}");
        let advice =
            if version < newest { "run `flowsmith install` to upgrade the schema" } else { "use a newer flowsmith" };
        return Ok(Some(DoctorCheck::found(CheckStatus::Warning, NAME, detail, advice)));
    }
    let mut differences = schema::LEDGER.differences(&schema::LEDGER.read(connection).await?);
    if matches!(database.engine, EngineState::Present { kind: EngineKind::Official, .. }) {
        let of_flowsmiths_engine = [
            "table engine",
            "column engine.",
            "constraint engine.",
            "index engine_pkey ",
            "function start_flow(",
            "function reset_flow(",
            "function drop_flow(",
            "function fire_schedule(",
            "function fire_table_trigger(",
            "function consume_event(",
            "function discard_event(",
            "function create_flows(",
            "function cancel_run(",
            "function retry_run(",
            "function pause_flow(",
            "function resume_flow(",
            "function prune_runs(",
            "function requeue_stalled_tasks(",
        ];
        differences.retain(|line| !of_flowsmiths_engine.iter().any(|start| line.starts_with(start)));
    }
    let advice = "the schema was changed: revert the change; to restore every function, run `drop function flowsmith.start_flow`, then `flowsmith install`";
    Ok(Some(as_installed(NAME, &differences, advice)))
}

/// The kinds of objects that run, or hide rows, when a table or a function of a schema is used.
const ACTIVE: [&str; 7] = ["function ", "trigger ", "rule ", "policy ", "row security ", "owner ", "child "];

fn as_installed(name: &str, differences: &SchemaDifferences, advice: &str) -> DoctorCheck {
    if differences.is_empty() {
        return DoctorCheck::ok(name, "as installed");
    }
    // Missing objects break the schema, and some that were added run when it is used. Others only use space.
    let is_active = |line: &String| ACTIVE.iter().any(|kind| line.starts_with(kind));
    let is_broken = !differences.missing.is_empty() || differences.extra.iter().any(is_active);
    let status = if is_broken { CheckStatus::Failed } else { CheckStatus::Warning };
    DoctorCheck::found(status, name, differences.to_string(), advice)
}

pub(super) fn public_rights(database: &Detection) -> DoctorCheck {
    const NAME: &str = "grants";
    if database.public_functions.is_empty() {
        return DoctorCheck::ok(NAME, "PUBLIC may execute no function");
    }
    DoctorCheck::found(
        CheckStatus::Warning,
        NAME,
        format!("PUBLIC may execute {}", database.public_functions.join(", ")),
        "run `revoke execute on all functions in schema pgflow from public`, and grant it to the role of the workers",
    )
}

/// One check for each set of roles; none without roles.
pub(super) async fn roles(connection: &mut PgConnection) -> Result<Vec<DoctorCheck>, DatabaseError> {
    const NAME: &str = "roles";
    let audits = match roles::audit(connection).await {
        Ok(audits) => audits,
        Err(error) if error.failure() == Failure::Permission => {
            return Ok(vec![DoctorCheck::skipped(NAME, error.to_string())]);
        }
        Err(error) => return Err(error),
    };
    let check = |audit: RoleAudit| {
        if audit.missing.is_empty() && audit.extra.is_empty() {
            return DoctorCheck::ok(
                NAME,
                format!("the roles of {} have exactly the expected privileges", audit.prefix),
            );
        }
        let missing = audit.missing.iter().map(|right| format!("lacks: {right}"));
        let extra = audit.extra.iter().map(|right| format!("has: {right}"));
        let detail = missing.chain(extra).collect::<Vec<_>>().join("\n");
        DoctorCheck::found(
            CheckStatus::Warning,
            NAME,
            detail,
            "run `flowsmith install --grants` again with the --role-prefix of these roles",
        )
    };
    Ok(audits.into_iter().map(check).collect())
}

/// Verifies that `realtime.send` exists and, if it is the one that the engine's script creates, that nobody changed it.
pub(super) async fn events(connection: &mut PgConnection, database: &Detection) -> Result<DoctorCheck, DatabaseError> {
    const NAME: &str = "events";
    if !database.has_realtime_send {
        let advice = "create realtime.send(jsonb, text, text, boolean): without it, no run can start";
        return Ok(DoctorCheck::found(CheckStatus::Failed, NAME, "realtime.send is missing", advice));
    }
    let rows = send(connection, Opening::snapshot(), include_str!("realtime_send.sql")).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let body = row.try_get::<String, _>("body")?.replace("\r\n", "\n");
    if body.contains("pgflow_events") && body_of_realtime_send().is_none_or(|expected| expected != body) {
        let advice = "run the statement `create or replace function realtime.send` of `flowsmith install --print`";
        return Ok(DoctorCheck::found(CheckStatus::Failed, NAME, "realtime.send was changed", advice));
    }
    Ok(DoctorCheck::ok(NAME, "realtime.send exists"))
}

/// The body that the engine's script gives to `realtime.send`.
fn body_of_realtime_send() -> Option<String> {
    let script = ENGINE.last()?.sql.replace("\r\n", "\n");
    let (_, definition) = script.split_once("create or replace function realtime.send(")?;
    let (_, body) = definition.split_once("as $$")?;
    Some(body.split_once("$$;")?.0.to_owned())
}

pub(super) fn recovery(database: &Detection) -> DoctorCheck {
    const NAME: &str = "recovery of stalled tasks";
    if !database.has_recovery {
        return DoctorCheck::skipped(NAME, "this level has no recovery: a task of a crashed worker stays started");
    }
    if !database.has_pg_cron {
        return DoctorCheck::ok(
            NAME,
            "no pg_cron: every running `flowsmith worker` recovers tasks every 15 seconds; without a worker, no task is recovered",
        );
    }
    match database.has_cron_job {
        Some(true) => DoctorCheck::ok(NAME, "pg_cron has the job pgflow_requeue_stalled_tasks"),
        Some(false) => DoctorCheck::found(
            CheckStatus::Warning,
            NAME,
            "pg_cron is installed but has no active job pgflow_requeue_stalled_tasks",
            "run `flowsmith install` to create the job",
        ),
        None => DoctorCheck::skipped(NAME, "pg_cron is installed, but this role may not read its jobs"),
    }
}
