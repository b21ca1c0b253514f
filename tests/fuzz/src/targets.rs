//! Fuzz targets: each parser that reads bytes of others must end, without a panic, with a value or an error.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use flowsmith_core::catalog::{Annotations, Catalog, Trigger, canonical_json};
use flowsmith_core::check::{CheckSettings, Checked, check};
use flowsmith_core::config::Config;
use flowsmith_core::migration::{CompileSettings, Folder, Migration, compile, replay};
use flowsmith_core::source::Sources;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A parser.
pub type Target = fn(&[u8]);

/// Every parser, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("yaml", yaml),
    ("toml", toml),
    ("settings", settings),
    ("migration", migration),
    ("sum", sum),
    ("ledger", ledger),
    ("schema", schema),
];

/// A folder for the targets that read files.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

fn yaml(bytes: &[u8]) {
    round_trip(&checked("f.yaml", bytes));
}

fn toml(bytes: &[u8]) {
    round_trip(&checked("f.toml", bytes));
}

fn checked(name: &str, bytes: &[u8]) -> Checked {
    check(&Sources::one(name, bytes), &CheckSettings::default())
}

/// A valid file compiles to a migration that replays to the same flows.
fn round_trip(checked: &Checked) {
    if checked.has_errors() {
        return;
    }
    let settings = CompileSettings::new("20260101000000".parse().expect("a version"));
    let compiled = compile(&Catalog::new(), checked.catalog.clone(), &settings).expect("valid flows compile");
    let replayed = replay(&compiled.migrations).expect("a compiled migration replays");
    assert_eq!(replayed, checked.catalog, "the migration has other flows than the file");
}

fn settings(bytes: &[u8]) {
    let path = FOLDER.path().join("flowsmith.toml");
    fs::write(&path, bytes).expect("the folder is writable");
    let _ = Config::read(Some(&path));
}

fn migration(bytes: &[u8]) {
    let content = String::from_utf8_lossy(bytes).into_owned();
    if let Ok(migration) = Migration::from_file("20260101000000_f.sql", content) {
        let _ = replay([&migration]);
    }
}

/// The bytes are the sum file of a folder with one migration.
fn sum(bytes: &[u8]) {
    let folder = FOLDER.path();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("the folder is writable");
    write("20260101000000_f.sql", b"select 1;\n");
    write("flowsmith.sum", bytes);
    let _ = Folder::read(Path::new(folder));
}

/// What the reader of a database makes of the JSON columns of a row.
fn ledger(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let value = canonical_json(value);
    if let Ok(triggers) = serde_json::from_value::<Vec<Trigger>>(value.clone()) {
        serde_json::to_value(triggers).expect("triggers can be written");
    }
    if let Ok(annotations) = serde_json::from_value::<Annotations>(value) {
        serde_json::to_value(annotations).expect("annotations can be written");
    }
}

/// The bytes are a schema and an input that is validated by it.
fn schema(bytes: &[u8]) {
    let (schema, input) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let Ok(schema) = serde_json::from_slice::<Value>(schema) else { return };
    let input = serde_json::from_slice::<Value>(input).unwrap_or(Value::Null);
    let trigger = json!({ "name": "t", "cron": "@daily", "input": input });
    let flow = json!({ "flow": "f", "input": schema, "steps": { "a": {} }, "triggers": [trigger] });
    checked("f.yaml", flow.to_string().as_bytes());
}
