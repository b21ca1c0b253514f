//! Findings written out: for a terminal, for programs, for GitHub, for code scanners.
//!
//! Findings name fields; here, and only here, the files that have findings are read again to say where those stand.

mod github;
mod json;
mod locate;
mod sarif;
mod text;

pub use github::github;
pub use json::json;
pub use locate::{Located, Location};
pub use sarif::sarif;
pub use text::text;

use flowsmith_core::check::Checked;
use flowsmith_core::finding::Severity;
use flowsmith_core::source::Sources;

/// A check's result with every place looked up, ready to be written in any form.
#[derive(Debug)]
pub struct Report {
    /// In the order of files and lines.
    pub findings: Vec<Located>,
    /// What was checked.
    pub summary: Summary,
}

/// What was checked, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Findings that keep flows from being compiled.
    pub errors: usize,
    /// The other findings.
    pub warnings: usize,
    /// Files looked at.
    pub files: usize,
    /// Flows without errors.
    pub flows: usize,
    /// Their steps.
    pub steps: usize,
    /// Their triggers.
    pub triggers: usize,
}

impl Report {
    /// Looks up where the findings of a check stand.
    pub fn new(checked: &Checked, sources: &Sources) -> Self {
        let of = |severity| checked.findings.iter().filter(|finding| finding.severity == severity).count();
        let summary = Summary {
            errors: of(Severity::Error),
            warnings: of(Severity::Warning),
            files: checked.files,
            flows: checked.catalog.len(),
            steps: checked.steps,
            triggers: checked.triggers,
        };
        Self { findings: locate::locate(&checked.findings, sources), summary }
    }
}

/// Text from a file in which nothing moves a cursor, colours a terminal or reverses the direction of writing.
pub fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|each| {
            let acts = each.is_control() || matches!(each, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            let escaped = acts.then(|| each.escape_unicode());
            escaped.into_iter().flatten().chain((!acts).then_some(each))
        })
        .collect()
}

/// A path for people and programs: `/` between its parts.
fn path(path: &std::path::Path) -> String {
    if path.as_os_str().is_empty() {
        return ".".to_owned();
    }
    visible(&path.to_string_lossy().replace('\\', "/"))
}

/// The message, with the environment that brings the finding about.
fn message(located: &Located) -> String {
    match &located.finding.environment {
        Some(environment) => format!("{} (in the environment `{environment}`)", located.finding.message),
        None => located.finding.message.clone(),
    }
}
