//! Reports of old versions.

use serde::Serialize;

use super::super::Subject;
use super::super::format::json;
use super::super::layout::{Cell, Column, Table, Text, TextLayout};
use super::super::style::{BAD, CARE, GOOD};
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::{OldVersion, start_worker_advice};

const COLUMNS: [Column; 7] = [
    Column::name("FLOW"),
    Column::whole("STATE"),
    Column::number("RUNNING"),
    Column::number("MESSAGES"),
    Column::number("WORKERS"),
    Column::number("ENDED"),
    Column::whole("DRAINED"),
];

/// The report as text.
pub fn old_versions_text(versions: &[OldVersion], subject: &Subject, layout: TextLayout) -> String {
    let mut text = Text::titled("Old versions of", subject, layout);
    text.blank();
    if versions.is_empty() {
        text.line("None: every applied version is current.");
        return text.finish();
    }
    let mut table = Table::new(&COLUMNS);
    for version in versions {
        table.row([
            version.id().to_string().into(),
            version.state.as_str().into(),
            Cell::number(version.under_way),
            version.messages.map_or_else(|| Cell::missing("-"), Cell::number),
            Cell::number(version.workers),
            Cell::number(version.ended),
            match version {
                OldVersion { is_drained: true, .. } => Cell::styled(GOOD, "yes"),
                OldVersion { workers: 0, .. } => Cell::styled(BAD, "no, without a worker"),
                _ => Cell::styled(CARE, "no"),
            },
        ]);
    }
    text.table(&table);
    if let Some(version) = versions.iter().find(|version| !version.is_drained && version.workers == 0) {
        let OldVersion { flow, version: number, slug, state, .. } = version;
        text.blank();
        text.line(format!("To drain {}, {}.", version.id(), start_worker_advice(flow, *number, slug, *state)));
    }
    let drained = versions.iter().filter(|version| version.is_drained).count();
    text.blank();
    text.line(format!("{}, {drained} drained.", counted(versions.len(), "version")));
    if let Some(version) = versions.iter().find(|version| version.is_drained) {
        text.line(format!("To delete a drained version with its runs, run `flowsmith retire {}`.", version.id()));
    }
    text.finish()
}

#[derive(Serialize)]
struct RetireJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    versions: &'a [OldVersion],
    deleted: Vec<String>,
}

/// The report as JSON: `schema/retire.v1.json`.
pub fn old_versions_json(versions: &[OldVersion], deleted: &[String], subject: &Subject) -> String {
    json(&RetireJson {
        version: 1,
        database: &subject.database,
        engine: &subject.engine,
        versions,
        deleted: deleted.to_vec(),
    })
}
