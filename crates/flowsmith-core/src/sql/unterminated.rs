//! What can be opened in SQL and has no end.

use std::fmt;

/// Why a text is no SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclosed {
    /// A text in single quotes has no end.
    Text,
    /// A name in double quotes has no end.
    Name,
    /// A text in dollar quotes has no end.
    Dollar,
    /// A comment has no end.
    Comment,
}

impl fmt::Display for Unclosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a text in single quotes has no end",
            Self::Name => "a name in double quotes has no end",
            Self::Dollar => "a text in dollar quotes has no end",
            Self::Comment => "a comment has no end",
        })
    }
}

impl std::error::Error for Unclosed {}
