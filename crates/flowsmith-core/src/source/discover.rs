//! Discovery of the flow files in a folder.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{RootedFolder, Syntax, text};
use crate::file::{Entry, EntryKind, FileError};
use crate::finding::{Code, Finding};

/// Walks the folder of the flow files and returns them, sorted by name, with a finding for each folder that cannot be read and
/// each name that cannot be printed. Names that begin with a dot are skipped, as shell patterns do: editors use them for locks
/// and backups.
pub(super) fn discover(folder: &RootedFolder<'_>) -> (Vec<PathBuf>, Vec<Finding>) {
    let mut walk = Walk { folder, seen: HashMap::new(), files: Vec::new(), findings: Vec::new() };
    walk.walk();
    walk.files.sort();
    (walk.files, walk.findings)
}

struct Walk<'a> {
    folder: &'a RootedFolder<'a>,
    /// The resolved path of each visited folder, and the name under which it was visited first.
    seen: HashMap<PathBuf, PathBuf>,
    files: Vec<PathBuf>,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn walk(&mut self) {
        // An explicit stack, because folders can be nested deeper than the thread's stack allows.
        let mut open = vec![self.folder.flows.to_owned()];
        while let Some(folder) = open.pop() {
            let Some(in_root) = self.folder.in_root(&folder) else { continue };
            let entries = match self.folder.root.list(&in_root) {
                Ok(entries) => entries,
                Err(error) => {
                    self.unreadable(&folder, &error);
                    continue;
                }
            };
            // The same folder by two names has one resolved path; nothing is read by it.
            let real = fs::canonicalize(self.folder.root.path(&in_root)).unwrap_or_else(|_| in_root.clone());
            if let Some(before) = self.seen.insert(real, folder.clone()) {
                let message = format!("this folder was already read as `{}`", before.display());
                self.findings.push(
                    Finding::of_file(Code::FolderLoop, &folder, message)
                        .help("remove the symbolic link that leads to it"),
                );
                continue;
            }
            self.entries(&folder, entries, &mut open);
        }
    }

    fn entries(&mut self, folder: &Path, entries: Vec<Entry>, open: &mut Vec<PathBuf>) {
        let mut folders = Vec::new();
        for entry in entries {
            if entry.name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let name = folder.join(&entry.name);
            // The type of a flow file is checked when it is read, so that a folder or a pipe with such a name is reported.
            let is_flow_file = Syntax::of(&name).is_some();
            let is_folder = match entry.kind {
                _ if is_flow_file => false,
                EntryKind::Folder => true,
                EntryKind::Link => self.is_linked_folder(&name),
                EntryKind::File | EntryKind::Other => false,
            };
            if !is_flow_file && !is_folder {
                continue;
            }
            if !is_printable(&entry) {
                self.findings.push(unprintable(&name));
            } else if is_flow_file {
                self.files.push(name);
            } else {
                folders.push(name);
            }
        }
        folders.sort_unstable_by(|a, b| b.cmp(a));
        open.append(&mut folders);
    }

    /// Whether a link leads to a folder. A folder that cannot be read is reported: its flows would seem to be removed.
    fn is_linked_folder(&mut self, name: &Path) -> bool {
        let Some(in_root) = self.folder.in_root(name) else { return false };
        self.folder.root.leads_to_folder(&in_root).unwrap_or_else(|error| {
            self.unreadable(name, &error);
            false
        })
    }

    fn unreadable(&mut self, name: &Path, error: &FileError) {
        self.findings.push(text::unreadable(error, name, "folder"));
    }
}

/// Names of files appear in reports, and in the comments of migrations.
fn is_printable(entry: &Entry) -> bool {
    entry.name.to_str().is_some_and(|name| !name.chars().any(|each| each.is_control() || is_directional(each)))
}

fn is_directional(each: char) -> bool {
    matches!(each, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn unprintable(name: &Path) -> Finding {
    let message = "the name of this file is not UTF-8, or contains control characters";
    Finding::of_file(Code::FileName, name, message).help("rename it: use letters, digits, `_`, `-` and `.`")
}
