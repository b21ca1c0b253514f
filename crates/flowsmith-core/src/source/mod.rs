//! Flow files: discovery, reading, and parsing of YAML and TOML into one tree with spans.

mod discover;
mod lines;
mod node;
mod number;
mod text;
mod toml;
mod yaml;

pub use lines::{Lines, Position};
pub use node::{Key, Node, Value};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::file::{Root, is_below};
use crate::finding::{Code, Finding, Findings, Span};

/// The maximum nesting depth of values, with aliases expanded.
pub const MAX_DEPTH: usize = 64;

/// The source of flow files.
#[derive(Debug, Clone)]
pub enum Sources {
    /// A folder of a project.
    Folder {
        /// The root of the project. File names are relative to it.
        root: PathBuf,
        /// The folder of the flow files, relative to the root.
        flows: PathBuf,
    },
    /// Files in memory, by name: for tests, and for editors with unsaved text.
    Memory(BTreeMap<PathBuf, Vec<u8>>),
}

impl Sources {
    /// The folder `flows` of the project at `root`.
    pub fn project(root: impl Into<PathBuf>) -> Self {
        Self::Folder { root: root.into(), flows: PathBuf::from("flows") }
    }

    /// A single file in memory.
    pub fn one(name: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        Self::Memory(BTreeMap::from([(name.into(), text.into())]))
    }

    /// The names of all flow files, sorted, and a finding for each folder that cannot be read.
    pub fn discover(&self) -> (Vec<PathBuf>, Vec<Finding>) {
        match self {
            Self::Folder { root, flows } => discover::discover(&RootedFolder::of(root, flows)),
            Self::Memory(files) => (files.keys().cloned().collect(), Vec::new()),
        }
    }

    /// Whether a file of this name exists, readable or not.
    pub(crate) fn has(&self, name: &Path) -> bool {
        match self {
            Self::Folder { root, .. } => root.join(name).symlink_metadata().is_ok(),
            Self::Memory(files) => files.contains_key(name),
        }
    }

    /// Reads a file as UTF-8 and drops its byte order mark.
    ///
    /// # Errors
    /// A finding if the file cannot be read, is too large, is not UTF-8, or contains a NUL character.
    pub fn read(&self, name: &Path) -> Result<String, Box<Finding>> {
        let bytes = match self {
            Self::Folder { root, flows } => {
                let folder = RootedFolder::of(root, flows);
                match folder.in_root(name) {
                    Some(file) => text::read(&folder.root, &file, name)?,
                    None => text::read(&Root::new(root), name, name)?,
                }
            }
            Self::Memory(files) => files.get(name).cloned().unwrap_or_default(),
        };
        text::decode(bytes, name)
    }
}

/// The folder of the flow files in the root that it belongs to: that of the project, or itself if it is outside of the project.
/// Settings can name folders of the project only, so that the command line named any other.
struct RootedFolder<'a> {
    root: Root,
    /// The path of the root in the names of files; empty if names are relative to the root.
    prefix: &'a Path,
    flows: &'a Path,
}

impl<'a> RootedFolder<'a> {
    fn of(root: &Path, flows: &'a Path) -> Self {
        if is_below(flows) {
            Self { root: Root::new(root), prefix: Path::new(""), flows }
        } else {
            Self { root: Root::new(root.join(flows)), prefix: flows, flows }
        }
    }

    /// The name in the root; `None` for a file outside of it.
    fn in_root(&self, name: &Path) -> Option<PathBuf> {
        let file = name.strip_prefix(self.prefix).ok()?;
        Some(if file.as_os_str().is_empty() { PathBuf::from(".") } else { file.to_owned() })
    }
}

/// The syntax of a flow file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// Files that end in `.yaml` or `.yml`.
    Yaml,
    /// Files that end in `.toml`.
    Toml,
}

impl Syntax {
    /// The syntax that the extension of a file name stands for; `None` if it is not that of a flow file.
    pub fn of(name: &Path) -> Option<Self> {
        let extension = name.extension()?;
        let is = |wanted: &str| extension.eq_ignore_ascii_case(wanted);
        if is("yaml") || is("yml") { Some(Self::Yaml) } else { is("toml").then_some(Self::Toml) }
    }
}

/// Parses a text into its documents. Reports each part that cannot be parsed and returns the others.
pub fn parse(text: &str, name: &Path, findings: &mut Findings) -> Vec<Node> {
    let before = findings.len();
    let documents = match Syntax::of(name).unwrap_or(Syntax::Yaml) {
        Syntax::Yaml => yaml::parse(text, findings),
        Syntax::Toml => toml::parse(text, findings),
    };
    if documents.is_empty() && findings.len() == before {
        findings.push(text::empty());
    }
    documents
}

fn inexact_number(text: &str, span: Span) -> Finding {
    if text.contains(['n', 'N']) {
        return Finding::new(Code::InexactNumber, span, format!("JSON cannot represent the number {text}"))
            .label("not a finite number")
            .help("write a finite number, or put it in quotes to make it a string");
    }
    Finding::new(Code::InexactNumber, span, format!("64 bits cannot represent the number {text} exactly"))
        .label("would be rounded")
        .help("write fewer digits, or put the number in quotes to make it a string")
}

fn too_deep(span: Span) -> Finding {
    let message = format!("values are nested more than {MAX_DEPTH} levels deep");
    Finding::new(Code::TooDeep, span, message).label("exceeds the limit").help("flatten the value")
}

fn nul_in_text(span: Span) -> Finding {
    Finding::new(Code::NulCharacter, span, "this string contains a NUL character, which PostgreSQL cannot store")
        .label("contains `\\0`")
        .help("remove the NUL character")
}
