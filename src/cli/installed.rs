//! Reports an installation.

use flowsmith_postgres::engine::install::{EngineAction, InstallReport, PgmqAction};

/// A summary of the installation in one line.
pub(crate) fn installed_text(report: &InstallReport) -> String {
    let engine = match report.engine {
        EngineAction::Installed(version) => format!("engine version {version} installed"),
        EngineAction::Upgraded { from, to } => format!("engine upgraded from version {from} to {to}"),
        EngineAction::UpToDate(version) => format!("engine version {version} is up to date"),
        EngineAction::LeftOfficial(level) => format!("pgflow's engine {level} left unchanged"),
    };
    let recovery = match (report.database.has_pg_cron, report.database.has_cron_job) {
        (true, Some(true)) => ", pg_cron recovers stalled tasks",
        (true, _) if report.database.has_recovery => {
            ", pg_cron has no job for recovering stalled tasks: see `flowsmith doctor`"
        }
        _ => "",
    };
    let pgmq = match report.pgmq {
        PgmqAction::Kept => "unchanged",
        PgmqAction::CreatedExtension => "created as an extension",
        PgmqAction::InstalledSql => "installed as plain SQL",
        PgmqAction::InstalledSqlForLackOfRights => {
            "installed as plain SQL, because this role may not create the extension"
        }
    };
    format!("{engine}, pgmq {pgmq}{recovery}")
}
