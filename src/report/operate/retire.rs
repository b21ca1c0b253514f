//! Reports of old versions.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::Subject;
use super::super::plan::json;
use super::super::style::{BAD, BOLD, CARE, GOOD, paint};
use super::table::{Cell, table};
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::{OldVersion, start_worker_advice};

/// The report as text.
pub fn old_versions_text(versions: &[OldVersion], subject: &Subject) -> String {
    let mut text = format!("{} {} ({})\n\n", paint(BOLD, "Old versions of"), subject.database, subject.engine);
    if versions.is_empty() {
        text.push_str("None: every applied version is current.\n");
        return text;
    }
    let rows: Vec<_> = versions
        .iter()
        .map(|version| {
            vec![
                version.id().to_string().into(),
                version.state.as_str().into(),
                Cell::number(version.under_way),
                Cell::number(version.messages.map_or_else(|| "-".to_owned(), |messages| messages.to_string())),
                Cell::number(version.workers),
                Cell::number(version.ended),
                match version {
                    OldVersion { is_drained: true, .. } => Cell::styled(GOOD, "yes"),
                    OldVersion { workers: 0, .. } => Cell::styled(BAD, "no, without a worker"),
                    _ => Cell::styled(CARE, "no"),
                },
            ]
        })
        .collect();
    text.push_str(&table(&["FLOW", "STATE", "RUNNING", "MESSAGES", "WORKERS", "ENDED", "DRAINED"], &rows));
    if let Some(version) = versions.iter().find(|version| !version.is_drained && version.workers == 0) {
        let OldVersion { flow, version: number, slug, state, .. } = version;
        let _ = writeln!(text, "\nTo drain {}, {}.", version.id(), start_worker_advice(flow, *number, slug, *state));
    }
    let drained = versions.iter().filter(|version| version.is_drained).count();
    let _ = writeln!(text, "\n{}, {drained} drained.", counted(versions.len(), "version"));
    if let Some(version) = versions.iter().find(|version| version.is_drained) {
        let _ = writeln!(text, "To delete a drained version with its runs, run `flowsmith retire {}`.", version.id());
    }
    text
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
