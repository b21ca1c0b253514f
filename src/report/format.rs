//! JSON and Markdown in reports.

use serde::Serialize;

/// A report as indented JSON with a line end.
pub(super) fn json(report: &impl Serialize) -> String {
    serde_json::to_string_pretty(report).expect("a report has string keys only") + "\n"
}

/// Markdown text that stays inside its table cell.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}
