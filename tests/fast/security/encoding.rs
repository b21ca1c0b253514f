//! SQL that is sent to every database consists of characters that every encoding has.

use std::path::Path;

/// The SQL files in a folder that have other characters than ASCII.
fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            collect(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "sql") {
            let text = std::fs::read_to_string(&entry).unwrap();
            let lines = text.lines().enumerate().filter(|(_, line)| !line.is_ascii());
            found.extend(lines.map(|(number, line)| format!("{}:{}: {line}", entry.display(), number + 1)));
        }
    }
}

#[test]
fn sql_is_ascii() {
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates"), &mut found);
    assert!(found.is_empty(), "a database with the encoding LATIN1 refuses these lines:\n{}", found.join("\n"));
}
