//! Schedules that pg_cron does not run.

use crate::engine::detect::Detection;

/// Schedules that pg_cron does not run: they fire only while a worker runs with `--schedule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unscheduled {
    /// The schedules, as flow and trigger.
    pub schedules: Vec<(String, String)>,
    /// Why pg_cron does not run them.
    pub reason: UnscheduledReason,
}

/// Why pg_cron does not run schedules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnscheduledReason {
    /// The database has no pg_cron.
    NoPgCron,
    /// The server has pg_cron, for another database only (`cron.database_name`).
    OtherDatabase(String),
    /// The database has pg_cron, and the owner of flowsmith's functions may not use it.
    NotPermitted,
}

impl UnscheduledReason {
    pub(super) fn of(detection: &Detection) -> Self {
        match &detection.cron_elsewhere {
            Some(database) => Self::OtherDatabase(database.clone()),
            None if detection.has_pg_cron => Self::NotPermitted,
            None => Self::NoPgCron,
        }
    }
}
