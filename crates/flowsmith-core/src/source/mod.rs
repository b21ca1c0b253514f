//! From files to one spanned tree, whatever their syntax.

mod discover;
mod lines;
mod node;
mod number;
mod text;
mod toml;
mod yaml;

pub use lines::{Lines, Position};
pub use node::{Key, Node, Value};
pub use text::MAX_FILE_BYTES;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::finding::{Code, Finding, Findings, Span};

/// How deep values may be nested, aliases followed.
pub const MAX_DEPTH: usize = 64;

/// Where flow files come from.
#[derive(Debug, Clone)]
pub enum Sources {
    /// From a folder of a project.
    Folder {
        /// The project's root, to which the names of files are relative.
        root: PathBuf,
        /// The folder below it that holds the flow files.
        flows: PathBuf,
    },
    /// From memory, by name: tests, and editors whose text is not saved yet.
    Memory(BTreeMap<PathBuf, Vec<u8>>),
}

impl Sources {
    /// The folder `flows` of a project.
    pub fn project(root: impl Into<PathBuf>) -> Self {
        Self::Folder { root: root.into(), flows: PathBuf::from("flows") }
    }

    /// One file that is in memory.
    pub fn one(name: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        Self::Memory(BTreeMap::from([(name.into(), text.into())]))
    }

    /// The names of all flow files, sorted, and what could not be read.
    pub fn discover(&self) -> (Vec<PathBuf>, Vec<Finding>) {
        match self {
            Self::Folder { root, flows } => discover::discover(root, flows),
            Self::Memory(files) => (files.keys().cloned().collect(), Vec::new()),
        }
    }

    /// Whether there is something of this name, readable or not.
    pub(crate) fn has(&self, name: &Path) -> bool {
        match self {
            Self::Folder { root, .. } => root.join(name).symlink_metadata().is_ok(),
            Self::Memory(files) => files.contains_key(name),
        }
    }

    /// The text of a file, without a byte order mark.
    ///
    /// # Errors
    /// A finding, where the file cannot be read, is too large, or is no text.
    pub fn read(&self, name: &Path) -> Result<String, Box<Finding>> {
        let bytes = match self {
            Self::Folder { root, .. } => text::read(&root.join(name), name)?,
            Self::Memory(files) => files.get(name).cloned().unwrap_or_default(),
        };
        text::decode(bytes, name)
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// `.yaml`, `.yml`
    Yaml,
    /// `.toml`
    Toml,
}

impl Syntax {
    /// What a file's name says; none where it names no flow file.
    pub fn of(name: &Path) -> Option<Self> {
        let extension = name.extension()?;
        let is = |wanted: &str| extension.eq_ignore_ascii_case(wanted);
        if is("yaml") || is("yml") { Some(Self::Yaml) } else { is("toml").then_some(Self::Toml) }
    }
}

/// Reads a text into its documents. What cannot be read is a finding; what can be is returned all the same.
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
        return Finding::new(Code::InexactNumber, span, format!("JSON has no number {text}"))
            .label("not a finite number")
            .help("write a finite number, or put it in quotes: it is text then");
    }
    Finding::new(Code::InexactNumber, span, format!("the number {text} cannot be held exactly"))
        .label("64 bits hold another number")
        .help("write a number of fewer digits, or put it in quotes: it is text then")
}

fn nul_in_text(span: Span) -> Finding {
    Finding::new(Code::NulCharacter, span, "this text holds a NUL character, which PostgreSQL cannot store")
        .label("contains `\\0`")
        .help("leave the NUL character out")
}
