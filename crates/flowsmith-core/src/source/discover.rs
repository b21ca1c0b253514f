//! Discovery of the flow files in a folder.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Syntax;
use crate::finding::{Code, Finding};

/// Walks `root/folder` and returns the flow files, sorted by name and relative to `root`, with a finding for each folder
/// that cannot be read. Names that begin with a dot are skipped, as shell patterns do: editors use them for locks and
/// backups.
pub(super) fn discover(root: &Path, folder: &Path) -> (Vec<PathBuf>, Vec<Finding>) {
    let mut walk = Walk { root, seen: HashMap::new(), files: Vec::new(), findings: Vec::new() };
    walk.folder(folder);
    walk.files.sort();
    (walk.files, walk.findings)
}

struct Walk<'a> {
    root: &'a Path,
    /// The resolved path of each visited folder, and the name under which it was visited first.
    seen: HashMap<PathBuf, PathBuf>,
    files: Vec<PathBuf>,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn folder(&mut self, first: &Path) {
        // An explicit stack, because folders can be nested deeper than the thread's stack allows.
        let mut open = vec![first.to_owned()];
        while let Some(folder) = open.pop() {
            let real = match fs::canonicalize(self.root.join(&folder)) {
                Ok(real) => real,
                Err(error) => {
                    self.unreadable(&folder, &error);
                    continue;
                }
            };
            if let Some(before) = self.seen.insert(real, folder.clone()) {
                let message = format!("this folder was already read as `{}`", before.display());
                self.findings.push(
                    Finding::of_file(Code::FolderLoop, &folder, message)
                        .help("remove the symbolic link that leads to it"),
                );
                continue;
            }
            match fs::read_dir(self.root.join(&folder)) {
                Ok(entries) => self.entries(&folder, entries, &mut open),
                Err(error) => self.unreadable(&folder, &error),
            }
        }
    }

    fn entries(&mut self, folder: &Path, entries: fs::ReadDir, open: &mut Vec<PathBuf>) {
        let mut folders = Vec::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.unreadable(folder, &error);
                    return;
                }
            };
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let name = folder.join(entry.file_name());
            let is_flow_file = Syntax::of(&name).is_some();
            // The type of a flow file is checked when it is read, so that a folder or a pipe with such a name is reported.
            match entry.file_type() {
                Ok(kind) if kind.is_file() && is_flow_file => self.files.push(name),
                Ok(kind) if kind.is_file() => {}
                Ok(_) if is_flow_file => self.files.push(name),
                Ok(kind) if kind.is_dir() || (kind.is_symlink() && self.root.join(&name).is_dir()) => {
                    folders.push(name)
                }
                Ok(_) => {}
                Err(error) => self.unreadable(&name, &error),
            }
        }
        folders.sort_unstable_by(|a, b| b.cmp(a));
        open.append(&mut folders);
    }

    fn unreadable(&mut self, name: &Path, error: &std::io::Error) {
        self.findings.push(
            Finding::of_file(Code::Unreadable, name, format!("cannot read the folder: {error}"))
                .help("create the folder, or make it readable for this user"),
        );
    }
}
