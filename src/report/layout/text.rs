//! A text report under construction.

use textwrap::core::display_width;

use flowsmith_core::visible::visible;

use super::super::Subject;
use super::super::style::{BOLD, paint};
use super::wrap::{hanging, lines};
use super::{Table, TextLayout};

/// A text report. Each method appends whole lines.
pub(in crate::report) struct Text {
    layout: TextLayout,
    text: String,
}

impl Text {
    pub(in crate::report) fn new(layout: TextLayout) -> Self {
        Self { layout, text: String::new() }
    }

    /// A report with a title that names its subject.
    pub(in crate::report) fn titled(title: &str, subject: &Subject, layout: TextLayout) -> Self {
        let mut text = Self::new(layout);
        text.line(format!("{} {} ({})", paint(BOLD, title), visible(&subject.database), visible(&subject.engine)));
        text
    }

    /// A line of prose, or several.
    pub(in crate::report) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(&lines(line.as_ref(), self.layout.width));
        self.text.push('\n');
    }

    pub(in crate::report) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Prose behind a label, below which it continues if there is room.
    pub(in crate::report) fn labelled(&mut self, label: &str, prose: &str) {
        self.text.push_str(&self.layout.labelled(label, prose));
    }

    /// Prose whose first line starts with `first` and whose other lines start with `rest`.
    pub(in crate::report) fn hanging(&mut self, first: &str, rest: &str, prose: &str) {
        self.text.push_str(&hanging(first, rest, prose, self.layout.width));
        self.text.push('\n');
    }

    /// A line that is not wrapped, such as one with JSON that is copied.
    pub(in crate::report) fn unwrapped(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(in crate::report) fn table(&mut self, table: &Table) {
        self.text.push_str(&table.text(self.layout.width));
    }

    /// The number of characters that fit after a prefix.
    pub(in crate::report) fn room_after(&self, prefix: &str) -> usize {
        self.layout.width.saturating_sub(display_width(prefix))
    }

    pub(in crate::report) fn finish(self) -> String {
        self.text
    }
}
