//! Reports an installation.

use flowsmith_postgres::engine::install::{EngineAction, InstallReport, PgmqAction};

/// The result of an installation in one line.
pub(crate) fn installed_text(report: &InstallReport) -> String {
    let engine = match report.engine {
        EngineAction::Installed(version) => format!("engine version {version} installed"),
        EngineAction::Upgraded { from, to } => format!("engine upgraded from version {from} to {to}"),
        EngineAction::UpToDate(version) => format!("engine version {version} is up to date"),
        EngineAction::LeftOfficial(level) => format!("pgflow's engine {level} left as it is"),
    };
    let recovery = match (report.database.has_pg_cron, report.database.has_cron_job) {
        (true, Some(true)) => ", pg_cron recovers stalled tasks",
        (true, _) if report.database.has_recovery => {
            ", pg_cron has no job that recovers stalled tasks: see `flowsmith doctor`"
        }
        _ => "",
    };
    let pgmq = match report.pgmq {
        PgmqAction::Kept => "kept",
        PgmqAction::CreatedExtension => "created as an extension",
        PgmqAction::InstalledSql => "installed as plain SQL",
        PgmqAction::InstalledSqlForLackOfRights => {
            "installed as plain SQL, since this role may not create the extension that the server has"
        }
    };
    format!("{engine}, pgmq {pgmq}{recovery}")
}
