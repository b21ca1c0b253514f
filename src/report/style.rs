//! Colors by meaning.

use anstyle::{AnsiColor, Style};

use flowsmith_core::diff::{Change, Class};
use flowsmith_core::visible::visible_lines;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const CARE: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

/// Text in a style. The text may be foreign.
pub(super) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{}{style:#}", visible_lines(&text.to_string()))
}

pub(super) fn of_change(change: &Change) -> Style {
    match change {
        Change::Create(_) => GOOD,
        Change::Alter(_) => CARE,
        Change::Drop(_) => BAD,
    }
}

pub(super) fn of_class(class: Class) -> Style {
    match class {
        Class::Record | Class::Safe => GOOD,
        Class::Tune | Class::Retire => CARE,
        Class::Replace | Class::Drop => BAD,
    }
}
