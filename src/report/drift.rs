//! Drift reports.

use std::fmt::Write as _;

use serde::Serialize;

use super::Subject;
use super::changes::{ChangeJson, lines, list};
use super::format::{code, json, markdown};
use super::layout::{Text, TextLayout};
use super::style::{BAD, CARE, GOOD, paint};
use flowsmith_core::visible::{visible, visible_lines};
use flowsmith_core::words::counted;
use flowsmith_postgres::drift::Drift;
use flowsmith_postgres::introspection::TriggerDifference;

/// The report as text.
pub fn drift_text(drift: &Drift, subject: &Subject, layout: TextLayout) -> String {
    let mut text = Text::titled("Drift of", subject, layout);
    text.blank();
    if drift.is_empty() {
        text.line(paint(GOOD, "None: the database matches its applied migrations."));
        return text.finish();
    }
    list(&mut text, &drift.changes);
    for finding in drift.findings() {
        text.labelled(&format!("  {} ", paint(BAD, "!")), &visible_lines(&finding));
    }
    for slug in &drift.unmanaged {
        text.line(format!("  {} {} was not created by a migration", paint(CARE, "?"), visible(slug)));
    }
    text.blank();
    text.line(format!("{}. {}", counted(differences(drift), "difference"), advice(drift)));
    text.finish()
}

/// The number of differences.
pub(super) fn differences(drift: &Drift) -> usize {
    drift.changes.len() + drift.unmanaged.len() + drift.findings().len()
}

fn advice(drift: &Drift) -> String {
    let mut advice = Vec::new();
    if drift.triggers.iter().any(|trigger| trigger.broken) {
        advice.push(
            "To fix a broken trigger, restore the objects that it refers to, or change it in the flow file, compile and apply.",
        );
    }
    if drift.blocks_apply() {
        advice.push(
            "To keep the changes, write them into the flow files and run `flowsmith compile`; to undo them, run \
             `flowsmith compile --from-live`.\nThen run `flowsmith apply --accept-drift`.",
        );
        return advice.join("\n");
    }
    match (drift.unmanaged.is_empty(), drift.triggers.iter().all(|trigger| trigger.declared)) {
        (true, true) => {}
        (false, true) => advice.push("Adopt them with `flowsmith pull`, or list them under `ignore` in flowsmith.toml."),
        (true, false) => advice.push(
            "Declare the triggers in the flow files, or remove them: `flowsmith compile --from-live` does so for recorded flows.",
        ),
        (false, false) => advice.push(
            "Adopt the flows with `flowsmith pull`, or list them under `ignore` in flowsmith.toml.\n\
             Declare the triggers in the flow files, or remove them.",
        ),
    }
    advice.join("\n")
}

#[derive(Serialize)]
struct DriftJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    in_sync: bool,
    changes: Vec<ChangeJson>,
    unmanaged: &'a [String],
    without_queue: Vec<&'a str>,
    unreadable: Vec<&'a str>,
    triggers: &'a [TriggerDifference],
    migrations: Vec<MigrationJson<'a>>,
}

#[derive(Serialize)]
struct MigrationJson<'a> {
    id: &'a str,
    state: &'static str,
}

/// The report as JSON: `schema/drift.v1.json`.
pub fn drift_json(drift: &Drift, subject: &Subject) -> String {
    json(&DriftJson {
        version: 1,
        database: &subject.database,
        engine: &subject.engine,
        in_sync: drift.is_empty(),
        changes: drift.changes.iter().map(ChangeJson::from).collect(),
        unmanaged: &drift.unmanaged,
        without_queue: drift.without_queue.iter().map(String::as_str).collect(),
        unreadable: drift.unreadable.iter().map(String::as_str).collect(),
        triggers: &drift.triggers,
        migrations: drift.migrations.iter().map(|(id, state)| MigrationJson { id, state: state.as_str() }).collect(),
    })
}

/// The report as Markdown.
pub fn drift_markdown(drift: &Drift, subject: &Subject) -> String {
    let mut text = format!("### flowsmith drift of {}\n\n", code(&subject.database));
    if drift.is_empty() {
        text.push_str("None: the database matches its applied migrations.\n");
        return text;
    }
    for change in &drift.changes {
        let what = lines(change);
        let id = code(&format!("{} {}", change.sign(), change.id()));
        let _ = writeln!(text, "- {id} {}", markdown(&what.join("; ")));
    }
    for finding in drift.findings() {
        let _ = writeln!(text, "- {}", markdown(&finding));
    }
    for slug in &drift.unmanaged {
        let _ = writeln!(text, "- {} was not created by a migration", code(slug));
    }
    let _ = writeln!(text, "\n{}", advice(drift));
    text
}
