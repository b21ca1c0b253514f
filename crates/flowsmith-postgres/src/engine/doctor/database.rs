//! What a database has, held against what it needs.

use sqlx::PgConnection;

use super::{CheckStatus, DoctorCheck};
use crate::database::{DatabaseError, Failure};
use crate::engine::detect::{Detection, EngineKind, EngineState, PgmqState};
use crate::engine::install::{OLDEST_PGMQ, OLDEST_SERVER};
use crate::engine::roles::{self, RoleAudit};
use crate::engine::schema;
use crate::engine::scripts::{ENGINE, newest_engine, newest_ledger};

pub(super) fn server(database: &Detection) -> DoctorCheck {
    const NAME: &str = "server version";
    let version = format!("PostgreSQL {}.{}", database.server_version / 10_000, database.server_version % 10_000);
    if database.server_version < OLDEST_SERVER {
        return DoctorCheck::found(CheckStatus::Failed, NAME, version, "upgrade to PostgreSQL 14 or later");
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
            DoctorCheck::found(CheckStatus::Warning, NAME, detail, "make sure that it is 1.4.4 or later")
        }
        _ => DoctorCheck::ok(NAME, detail),
    }
}

pub(super) fn engine(database: &Detection) -> DoctorCheck {
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
pub(super) fn engine_version(database: &Detection, version: i32) -> DoctorCheck {
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
pub(super) async fn engine_schema(connection: &mut PgConnection, version: i32) -> Result<DoctorCheck, DatabaseError> {
    const NAME: &str = "engine schema";
    if version != newest_engine() {
        return Ok(DoctorCheck::skipped(NAME, "only the newest version's schema is known"));
    }
    let differences = schema::ENGINE.differences(&schema::ENGINE.read(connection).await?);
    let advice = "somebody changed the engine: put it back, or restore schema pgflow from a backup";
    Ok(as_installed(NAME, &differences, advice))
}

/// The schema `flowsmith`, where there is one. What belongs to flowsmith's own engine is not asked of an official one.
pub(super) async fn ledger_schema(
    connection: &mut PgConnection,
    database: &Detection,
) -> Result<Option<DoctorCheck>, DatabaseError> {
    const NAME: &str = "flowsmith schema";
    let Some(version) = database.ledger else {
        let unknown = DoctorCheck::skipped(NAME, "this role may not read which version it has");
        return Ok(database.has_flowsmith_schema.then_some(unknown));
    };
    let newest = newest_ledger();
    if version != newest {
        let detail = format!("version {version}, and this flowsmith has {newest}");
        let advice = if version < newest { "run `flowsmith install` to upgrade it" } else { "use a newer flowsmith" };
        return Ok(Some(DoctorCheck::found(CheckStatus::Warning, NAME, detail, advice)));
    }
    let mut differences = schema::LEDGER.differences(&schema::LEDGER.read(connection).await?);
    if matches!(database.engine, EngineState::Present { kind: EngineKind::Official, .. }) {
        let of_ours = [
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
        ];
        differences.retain(|line| {
            !of_ours.iter().any(|what| line.split_once(": ").is_some_and(|(_, line)| line.starts_with(what)))
        });
    }
    let advice = "somebody changed it: `drop function flowsmith.start_flow` makes the next `flowsmith install` put every function back";
    Ok(Some(as_installed(NAME, &differences, advice)))
}

fn as_installed(name: &str, differences: &[String], advice: &str) -> DoctorCheck {
    if differences.is_empty() {
        return DoctorCheck::ok(name, "as installed");
    }
    // Something more is odd, something less is broken.
    let broken = differences.iter().any(|line| line.starts_with("lacks"));
    let status = if broken { CheckStatus::Failed } else { CheckStatus::Warning };
    DoctorCheck::found(status, name, differences.join("\n"), advice)
}

pub(super) fn public_rights(database: &Detection) -> DoctorCheck {
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
            return DoctorCheck::ok(NAME, format!("those of {} have their rights and no more", audit.prefix));
        }
        let missing = audit.missing.iter().map(|right| format!("lacks: {right}"));
        let extra = audit.extra.iter().map(|right| format!("has: {right}"));
        let detail = missing.chain(extra).collect::<Vec<_>>().join("\n");
        DoctorCheck::found(
            CheckStatus::Warning,
            NAME,
            detail,
            "run `flowsmith install --grants` again, with their --role-prefix",
        )
    };
    Ok(audits.into_iter().map(check).collect())
}

pub(super) fn events(database: &Detection) -> DoctorCheck {
    const NAME: &str = "events";
    if database.has_realtime_send {
        return DoctorCheck::ok(NAME, "realtime.send is there");
    }
    let advice = "make realtime.send(jsonb, text, text, boolean); without it every run fails to start";
    DoctorCheck::found(CheckStatus::Failed, NAME, "realtime.send is missing", advice)
}

pub(super) fn recovery(database: &Detection) -> DoctorCheck {
    const NAME: &str = "recovery of stalled tasks";
    if !database.has_recovery {
        return DoctorCheck::skipped(NAME, "this level has none: a task whose worker is gone stays started");
    }
    if !database.has_pg_cron {
        return DoctorCheck::ok(
            NAME,
            "no pg_cron: each running `flowsmith worker` does it, every 15 seconds; while none runs, nobody does",
        );
    }
    match database.has_cron_job {
        Some(true) => DoctorCheck::ok(NAME, "pg_cron has the job pgflow_requeue_stalled_tasks"),
        Some(false) => DoctorCheck::found(
            CheckStatus::Warning,
            NAME,
            "pg_cron is there, and has no active job pgflow_requeue_stalled_tasks",
            "run `flowsmith install`, which makes it",
        ),
        None => DoctorCheck::skipped(NAME, "pg_cron is there, and this role may not read its jobs"),
    }
}
