//! Status reports.

use serde::Serialize;

use super::Subject;
use super::format::json;
use super::layout::{Cell, Column, Table, Text, TextLayout};
use super::style::{BAD, CARE, DIM, GOOD};
use super::words::time;
use flowsmith_core::words::counted;
use flowsmith_postgres::ledger::{MigrationState, MigrationStatus, Status};

/// The report as text.
pub fn status_text(status: &Status, subject: &Subject, layout: TextLayout) -> String {
    let mut text = Text::titled("Migrations of", subject, layout);
    text.blank();
    let mut table = Table::new(&[Column::whole(""), Column::whole("")]);
    for migration in &status.migrations {
        let style = match migration.state {
            MigrationState::Applied | MigrationState::AppliedElsewhere => GOOD,
            MigrationState::Pending => CARE,
            MigrationState::OutOfOrder | MigrationState::Edited | MigrationState::Missing => BAD,
        };
        let state = Cell::styled(style, migration.state.as_str());
        table.noted([migration.id.as_str().into(), state], Cell::styled(DIM, when(migration)));
    }
    text.table(&table);
    let pending = status.pending().len();
    text.blank();
    text.line(format!("{}, {pending} pending.", counted(status.migrations.len(), "migration")));
    text.finish()
}

fn when(migration: &MigrationStatus) -> String {
    let entry = migration.entry.as_ref();
    entry.map(|entry| format!("{} UTC by {}", time(&entry.applied_at), entry.applied_by)).unwrap_or_default()
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
