//! `flowsmith.sum`: a running SHA-256 over the folder, one line a migration.
//!
//! A line is `<file name> <hash>`, where the hash covers the hash of the line before, the file's name and its content.
//! So a file cannot be edited, added, removed or renamed unseen, and two branches that both add a migration conflict
//! when they are merged, which is what git should say.

use std::fmt;

use rayon::prelude::*;

use super::Migration;
use crate::sha256_hex;

/// The file's name in the migrations folder.
pub const SUM_FILE: &str = "flowsmith.sum";
/// What is to become of it, while a write is under way.
pub(super) const SUM_DRAFT: &str = "flowsmith.sum.tmp";

/// How a folder differs from its sum file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SumMismatch {
    /// In the folder, not in the sum file.
    Added(String),
    /// In the sum file, not in the folder.
    Removed(String),
    /// The content is not what it was.
    Edited(String),
    /// The sum file stands in another order than the names.
    Reordered(String),
    /// A line of the sum file that is not a name and a hash.
    Malformed {
        /// Counted from 1.
        line: usize,
    },
}

impl fmt::Display for SumMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(file) => write!(f, "{file} was added by hand"),
            Self::Removed(file) => write!(f, "{file} was removed"),
            Self::Edited(file) => write!(f, "{file} was edited"),
            Self::Reordered(file) => write!(f, "{file} stands out of order in {SUM_FILE}"),
            Self::Malformed { line } => write!(f, "{SUM_FILE} line {line} is not a file name and a hash"),
        }
    }
}

/// The text of the sum file for these migrations, which stand in order.
pub(super) fn sum(migrations: &[Migration]) -> String {
    let mut text = String::new();
    let mut running = String::new();
    for (migration, checksum) in migrations.iter().zip(checksums(migrations)) {
        running = link(&running, migration, &checksum);
        text.push_str(&format!("{} {running}\n", migration.file_name()));
    }
    text
}

/// Every way in which the folder differs from its sum file. Each line is checked against the hash that the file itself
/// gives for the line before, so that one edited migration is named alone, not with all that follow it.
pub(super) fn verify(migrations: &[Migration], sum_text: &str) -> Vec<SumMismatch> {
    let mut lines = Vec::new();
    let mut mismatches = Vec::new();
    for (index, line) in sum_text.lines().enumerate() {
        match line.split_once(' ') {
            Some((name, hash)) if hash.len() == 64 => lines.push((name, hash)),
            _ => mismatches.push(SumMismatch::Malformed { line: index + 1 }),
        }
    }
    for migration in migrations {
        let name = migration.file_name();
        if !lines.iter().any(|(listed, _)| *listed == name) {
            mismatches.push(SumMismatch::Added(name));
        }
    }
    let checksums = checksums(migrations);
    let mut before = ("", "");
    for line in lines {
        match migrations.binary_search_by(|migration| migration.file_name().as_str().cmp(line.0)) {
            Err(_) => mismatches.push(SumMismatch::Removed(line.0.to_owned())),
            Ok(_) if line.0 <= before.0 => mismatches.push(SumMismatch::Reordered(line.0.to_owned())),
            Ok(place) if link(before.1, &migrations[place], &checksums[place]) != line.1 => {
                mismatches.push(SumMismatch::Edited(line.0.to_owned()));
            }
            Ok(_) => {}
        }
        before = line;
    }
    mismatches
}

/// The costly part, which no line of the file has to wait for another with.
fn checksums(migrations: &[Migration]) -> Vec<String> {
    migrations.par_iter().map(Migration::checksum).collect()
}

fn link(before: &str, migration: &Migration, checksum: &str) -> String {
    sha256_hex(format!("{before}\n{}\n{checksum}", migration.file_name()).as_bytes())
}
