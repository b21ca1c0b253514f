//! The layout of text reports: tables and wrapped lines that fit a given width.

mod fit;
mod table;
mod text;
mod wrap;

pub(super) use table::{Cell, Column, Table};
pub(super) use text::Text;

/// The space for text. The program determines the width once and passes it to the reports, so that no code has to change a
/// report afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLayout {
    width: usize,
}

impl TextLayout {
    /// No limit, for pipes and files: every table row and every sentence is one line.
    pub const UNLIMITED: Self = Self { width: usize::MAX };

    /// The width of a terminal in characters.
    pub fn of_width(width: usize) -> Self {
        Self { width }
    }

    /// Whether a line of this width fits.
    pub fn fits(self, width: usize) -> bool {
        width <= self.width
    }

    /// Wraps each line of a text between words. Continuation lines have a deeper indent than their line.
    pub fn wrap(self, text: &str) -> String {
        wrap::lines(text, self.width)
    }

    /// Wraps prose behind a label, below which it continues if there is room. Ends with a line break.
    pub fn labelled(self, label: &str, prose: &str) -> String {
        wrap::labelled(label, prose, self.width) + "\n"
    }
}
