//! Changes in reports.

use serde::Serialize;

use super::layout::{Text, TextLayout};
use super::style::{self, DIM, paint};
use flowsmith_core::diff::{Change, Class};
use flowsmith_core::visible::visible_line;

/// A change in JSON.
#[derive(Serialize)]
pub(super) struct ChangeJson {
    flow: String,
    version: u32,
    database_slug: String,
    /// `create`, `alter` or `drop`.
    action: &'static str,
    class: Class,
    summary: String,
    /// One text per difference; empty for `create` and `drop`.
    differences: Vec<String>,
}

impl From<&Change> for ChangeJson {
    fn from(change: &Change) -> Self {
        Self {
            flow: change.id().slug.clone(),
            version: change.id().version,
            database_slug: change.database_slug(),
            action: action(change),
            class: change.class(),
            summary: change.summary(),
            differences: differences(change),
        }
    }
}

/// The kind of change.
pub(super) fn action(change: &Change) -> &'static str {
    match change {
        Change::Create(_) => "create",
        Change::Alter(_) => "alter",
        Change::Drop(_) => "drop",
    }
}

/// The differences of an alteration.
fn differences(change: &Change) -> Vec<String> {
    match change {
        Change::Alter(alteration) => alteration.deltas.iter().map(ToString::to_string).collect(),
        Change::Create(_) | Change::Drop(_) => Vec::new(),
    }
}

/// The summary, then the differences if there are several.
pub(super) fn lines(change: &Change) -> Vec<String> {
    let mut lines = vec![change.summary()];
    let differences = differences(change);
    if differences.len() > 1 {
        lines.extend(differences);
    }
    lines
}

/// One line per change, followed by its differences if there are several.
pub fn changes_text(changes: &[Change], layout: TextLayout) -> String {
    let mut text = Text::new(layout);
    list(&mut text, changes);
    text.finish()
}

/// Appends changes to a report.
pub(super) fn list(text: &mut Text, changes: &[Change]) {
    let width = column_width(changes.iter());
    for change in changes {
        change_text(text, change, width);
    }
}

/// The width of the column with the flow names.
pub(super) fn column_width<'a>(changes: impl Iterator<Item = &'a Change>) -> usize {
    changes.map(|change| change.id().to_string().len()).max().unwrap_or(0)
}

/// One change: sign, flow, summary, class.
pub(super) fn change_text(text: &mut Text, change: &Change, width: usize) {
    let sign = paint(style::of_change(change), change.sign());
    let class = paint(style::of_class(change.class()), change.class().as_str());
    let summary = format!("{}  {}{class}{}", visible_line(&change.summary()), paint(DIM, "["), paint(DIM, "]"));
    text.labelled(&format!("  {sign} {:width$}  ", change.id().to_string()), &summary);
    for difference in &lines(change)[1..] {
        text.line(format!("      {}", visible_line(difference)));
    }
}
