//! Everything that flowsmith sends to a database goes through `database/transaction`, which fixes the settings.

use std::fs;
use std::path::{Path, PathBuf};

/// What sends SQL without going through it.
const SENDERS: [&str; 8] = [
    "raw_sql(",
    "sqlx::query",
    "query_as(",
    "query_scalar(",
    "connection.begin(",
    "pool.begin(",
    ".begin_with(",
    "sqlx::Transaction",
];

/// The files that may, each with the reason.
const EXCEPTIONS: [(&str, &str); 4] = [
    ("flowsmith-postgres/src/database/pooler.rs", "one qualified call, which must not hold its server connection"),
    ("flowsmith-worker/src/listener.rs", "one qualified call, whose notification must not wait for a commit"),
    ("flowsmith-worker/src/declared/sql.rs", "the query of a user, with the settings of the role"),
    ("flowsmith-devserver/src/connect.rs", "CREATE DATABASE, and one qualified query"),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// Whether the code of a file sends SQL; comments and messages do not count.
fn sends(text: &str) -> bool {
    text.lines()
        .map(|line| line.trim_start())
        .filter(|line| !line.starts_with("//"))
        .any(|line| SENDERS.iter().any(|sender| line.contains(sender)))
}

#[test]
fn statements_are_sent_in_hermetic_transactions_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    // The benchmarks of `benches` start a server of their own, on which nobody else can create anything.
    sources(&root.join("src"), &mut files);
    for member in fs::read_dir(root.join("crates")).unwrap() {
        sources(&member.unwrap().path().join("src"), &mut files);
    }
    assert!(files.len() > 200, "{}", files.len());
    let mut senders: Vec<String> = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap().trim_start_matches("crates/").to_owned();
        if !name.starts_with("flowsmith-postgres/src/database/transaction/")
            && sends(&fs::read_to_string(&file).unwrap())
        {
            senders.push(name);
        }
    }
    senders.sort();
    let mut expected = EXCEPTIONS.map(|(file, _)| file);
    expected.sort_unstable();
    assert_eq!(senders, expected);
}
