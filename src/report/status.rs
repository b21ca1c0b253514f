//! Status reports.

use std::fmt::Write as _;

use serde::Serialize;

use super::Subject;
use super::operate::time;
use super::plan::json;
use super::style::{BAD, BOLD, CARE, DIM, GOOD, paint};
use flowsmith_core::words::counted;
use flowsmith_postgres::ledger::{MigrationState, MigrationStatus, Status};

/// The report as text.
pub fn status_text(status: &Status, subject: &Subject) -> String {
    let mut text = format!("{} {} ({})\n\n", paint(BOLD, "Migrations of"), subject.database, subject.engine);
    let width = status.migrations.iter().map(|migration| migration.id.len()).max().unwrap_or(0);
    for migration in &status.migrations {
        let style = match migration.state {
            MigrationState::Applied | MigrationState::AppliedElsewhere => GOOD,
            MigrationState::Pending => CARE,
            MigrationState::OutOfOrder | MigrationState::Edited | MigrationState::Missing => BAD,
        };
        let _ = writeln!(
            text,
            "  {:width$}  {}{}",
            migration.id,
            paint(style, migration.state.as_str()),
            paint(DIM, when(migration))
        );
    }
    let pending = status.pending().len();
    let _ = writeln!(text, "\n{}, {pending} pending.", counted(status.migrations.len(), "migration"));
    text
}

fn when(migration: &MigrationStatus) -> String {
    migration
        .entry
        .as_ref()
        .map(|entry| format!("  {} UTC by {}", time(&entry.applied_at), entry.applied_by))
        .unwrap_or_default()
}

#[derive(Serialize)]
struct StatusJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    pending: usize,
    migrations: Vec<MigrationJson<'a>>,
}

#[derive(Serialize)]
struct MigrationJson<'a> {
    id: &'a str,
    state: MigrationState,
    applied_at: Option<&'a str>,
    applied_by: Option<&'a str>,
}

/// The report as JSON: `schema/status.v1.json`.
pub fn status_json(status: &Status, subject: &Subject) -> String {
    json(&StatusJson {
        version: 1,
        database: &subject.database,
        engine: &subject.engine,
        pending: status.pending().len(),
        migrations: status
            .migrations
            .iter()
            .map(|migration| MigrationJson {
                id: &migration.id,
                state: migration.state,
                applied_at: migration.entry.as_ref().map(|entry| entry.applied_at.as_str()),
                applied_by: migration.entry.as_ref().map(|entry| entry.applied_by.as_str()),
            })
            .collect(),
    })
}
