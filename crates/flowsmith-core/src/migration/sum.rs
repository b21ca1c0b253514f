//! The sum file `flowsmith.sum`: a hash chain over the folder, one line per migration.
//!
//! A line is `<file name> <hash>`. The SHA-256 hash covers the hash of the previous line, the name of the file and its content,
//! so edited, added, removed and renamed files are detected. Two branches that both add a migration also conflict in git, which
//! is intended.

use std::collections::HashSet;
use std::fmt;

use rayon::prelude::*;

use super::Migration;
use crate::sha256_hex;

/// The name of the sum file in the migrations folder.
pub const SUM_FILE: &str = "flowsmith.sum";
/// The name of the new sum file during a write.
pub(super) const SUM_DRAFT: &str = "flowsmith.sum.tmp";

/// A difference between a folder and its sum file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SumMismatch {
    /// The file is not in the sum file.
    Added(String),
    /// The file is not in the folder.
    Removed(String),
    /// The content of the file has changed.
    Edited(String),
    /// The line of the file is not in the order of the names.
    Reordered(String),
    /// A line of the sum file is not a name and a hash.
    Malformed {
        /// The number of the line, from 1.
        line: usize,
    },
}

impl fmt::Display for SumMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(file) => write!(f, "{file} was added manually"),
            Self::Removed(file) => write!(f, "{file} was removed"),
            Self::Edited(file) => write!(f, "{file} was edited"),
            Self::Reordered(file) => write!(f, "{file} is out of order in {SUM_FILE}"),
            Self::Malformed { line } => write!(f, "line {line} of {SUM_FILE} is not a file name and a hash"),
        }
    }
}

/// The text of the sum file for these migrations, which are sorted.
pub(super) fn sum(migrations: &[Migration]) -> String {
    let mut text = String::new();
    let mut running = String::new();
    for (migration, checksum) in migrations.iter().zip(checksums(migrations)) {
        running = link(&running, migration, &checksum);
        text.push_str(&format!("{} {running}\n", migration.file_name()));
    }
    text
}

/// The differences between the folder and its sum file. Each line is checked against the hash that the sum file gives for the
/// previous line, so that an edited migration is reported alone and not with all later ones.
pub(super) fn verify(migrations: &[Migration], sum_text: &str) -> Vec<SumMismatch> {
    let mut lines = Vec::new();
    let mut mismatches = Vec::new();
    for (index, line) in sum_text.lines().enumerate() {
        match line.split_once(' ') {
            Some((name, hash)) if hash.len() == 64 => lines.push((name, hash)),
            _ => mismatches.push(SumMismatch::Malformed { line: index + 1 }),
        }
    }
    let listed: HashSet<&str> = lines.iter().map(|(name, _)| *name).collect();
    for migration in migrations {
        let name = migration.file_name();
        if !listed.contains(name.as_str()) {
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

/// The checksums of the migrations. This is the expensive part, and it does not depend on the chain, so it runs in parallel.
fn checksums(migrations: &[Migration]) -> Vec<String> {
    migrations.par_iter().map(Migration::checksum).collect()
}

fn link(before: &str, migration: &Migration, checksum: &str) -> String {
    sha256_hex(format!("{before}\n{}\n{checksum}", migration.file_name()).as_bytes())
}
