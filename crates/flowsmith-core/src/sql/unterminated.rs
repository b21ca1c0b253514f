//! Unterminated quotes and comments in SQL.

use std::fmt;

/// A token of SQL that is not terminated. The messages are those of PostgreSQL's own scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unterminated {
    /// `'…`
    Text,
    /// `"…`
    Name,
    /// `$tag$…`
    Dollar,
    /// `/*…`
    Comment,
}

impl fmt::Display for Unterminated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "unterminated quoted string",
            Self::Name => "unterminated quoted identifier",
            Self::Dollar => "unterminated dollar-quoted string",
            Self::Comment => "unterminated /* comment",
        })
    }
}

impl std::error::Error for Unterminated {}
