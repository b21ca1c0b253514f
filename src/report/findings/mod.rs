//! Reports of findings: text for terminals, JSON, GitHub annotations and SARIF.
//!
//! Findings name fields by path. Only this module reads the files again to find the positions of those fields.

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
use flowsmith_core::visible::visible;

/// The result of a check with the positions of all findings.
#[derive(Debug)]
pub struct Report {
    /// The findings, ordered by file and line.
    pub findings: Vec<Located>,
    /// The numbers of checked objects.
    pub summary: Summary,
}

/// The numbers of findings and of checked objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Errors, which prevent compilation.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Checked files.
    pub files: usize,
    /// Flows without errors.
    pub flows: usize,
    /// Steps of these flows.
    pub steps: usize,
    /// Triggers of these flows.
    pub triggers: usize,
}

impl Report {
    /// Finds the positions of the findings.
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

/// A path with `/` as separator.
fn path(path: &std::path::Path) -> String {
    if path.as_os_str().is_empty() {
        return ".".to_owned();
    }
    visible(&path.to_string_lossy().replace('\\', "/")).into_owned()
}

/// The message, with the environment of the finding.
fn message(located: &Located) -> String {
    match &located.finding.environment {
        Some(environment) => format!("{} (in the environment `{environment}`)", located.finding.message),
        None => located.finding.message.clone(),
    }
}
