//! Conversion of parser offsets to bytes, lines and columns.

use std::sync::Arc;

use super::Syntax;
use crate::finding::Span;

/// A position as reports and editors show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// An index of the line starts of a text.
#[derive(Debug)]
pub struct Lines {
    text: Arc<str>,
    syntax: Syntax,
    /// For each line, the offset of its start in characters and in bytes.
    starts: Vec<(usize, usize)>,
}

impl Lines {
    /// The indexed text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Indexes a text; `syntax` determines the unit of its spans.
    pub fn new(text: Arc<str>, syntax: Syntax) -> Self {
        let mut starts = vec![(0, 0)];
        let (mut characters, mut bytes) = (0, 0);
        for line in text.split_inclusive('\n') {
            characters += if line.is_ascii() { line.len() } else { line.chars().count() };
            bytes += line.len();
            if line.ends_with('\n') {
                starts.push((characters, bytes));
            }
        }
        Self { text, syntax, starts }
    }

    /// The byte range of a span.
    pub fn bytes(&self, span: Span) -> std::ops::Range<usize> {
        let start = self.byte(span.start as usize);
        start..self.byte(span.end as usize).max(start)
    }

    /// The part of a byte range on its first line, without the line break.
    pub fn on_one_line(&self, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let rest = &self.text[range.start..];
        let line_end = range.start + rest.find(['\n', '\r']).unwrap_or(rest.len());
        range.start..range.end.min(line_end)
    }

    /// The line and column of a byte offset.
    pub fn position(&self, byte: usize) -> Position {
        let line = self.line_of(byte);
        let start = self.starts[line].1;
        Position { line: line + 1, column: self.text[start..byte].chars().count() + 1 }
    }

    fn line_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|(_, start)| *start <= byte).saturating_sub(1)
    }

    fn byte(&self, offset: usize) -> usize {
        match self.syntax {
            Syntax::Toml => {
                let mut byte = offset.min(self.text.len());
                while !self.text.is_char_boundary(byte) {
                    byte -= 1;
                }
                byte
            }
            Syntax::Yaml => {
                let line = self.starts.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
                let (characters, bytes) = self.starts[line];
                let rest = &self.text[bytes..];
                bytes + rest.char_indices().nth(offset - characters).map_or(rest.len(), |(byte, _)| byte)
            }
        }
    }
}
