//! Finds the flow files of a folder, in the order of their names.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Syntax;
use crate::finding::{Code, Finding};

/// Walks `root/folder`. Names are relative to `root`; what cannot be read is a finding. Names that begin with a dot are
/// left out, as a shell's patterns do: editors keep their locks and backups there.
pub(super) fn discover(root: &Path, folder: &Path) -> (Vec<PathBuf>, Vec<Finding>) {
    let mut walk = Walk { root, seen: HashMap::new(), files: Vec::new(), findings: Vec::new() };
    walk.folder(folder);
    walk.files.sort();
    (walk.files, walk.findings)
}

struct Walk<'a> {
    root: &'a Path,
    /// Real folders, and the name under which each was first read.
    seen: HashMap<PathBuf, PathBuf>,
    files: Vec<PathBuf>,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn folder(&mut self, first: &Path) {
        // A stack of our own: folders can be nested deeper than a thread's stack allows.
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
                let message = format!("this leads to a folder that is already read as `{}`", before.display());
                self.findings.push(
                    Finding::of_file(Code::FolderLoop, &folder, message)
                        .help("remove the symbolic link: every flow must be found once"),
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
            // A flow file's type is looked at when it is read; a name that is not one is followed if it is a folder.
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
                .help("create it or make it readable for this user; flow files are looked for in it and below"),
        );
    }
}
