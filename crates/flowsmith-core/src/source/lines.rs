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
    /// The offset of the start of each line in bytes.
    starts: Vec<usize>,
    /// Offsets in characters and in bytes at most [`STRIDE`] bytes and a character apart, so that a long line is not counted again
    /// for each position in it.
    checkpoints: Vec<(usize, usize)>,
}

/// The distance of the checkpoints in bytes.
const STRIDE: usize = 1024;

impl Lines {
    /// The indexed text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Indexes a text; `syntax` determines the unit of its spans.
    pub fn new(text: Arc<str>, syntax: Syntax) -> Self {
        let mut starts = vec![0];
        let mut checkpoints = vec![(0, 0)];
        let (mut characters, mut bytes) = (0, 0);
        for line in text.split_inclusive('\n') {
            let mut rest = line;
            while !rest.is_empty() {
                let (part, after) = rest.split_at(rest.ceil_char_boundary(STRIDE));
                characters += if part.is_ascii() { part.len() } else { part.chars().count() };
                bytes += part.len();
                if !after.is_empty() || bytes - checkpoints.last().map_or(0, |(_, byte)| *byte) >= STRIDE {
                    checkpoints.push((characters, bytes));
                }
                rest = after;
            }
            if line.ends_with('\n') {
                starts.push(bytes);
            }
        }
        Self { text, syntax, starts, checkpoints }
    }

    /// The byte range of a span.
    pub fn bytes(&self, span: Span) -> std::ops::Range<usize> {
        let start = self.byte(span.start as usize);
        start..self.byte(span.end as usize).max(start)
    }

    /// The part of a byte range on its first line, without the line break.
    pub fn on_one_line(&self, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let length = self.text[range.clone()].find(['\n', '\r']).unwrap_or(range.len());
        range.start..range.start + length
    }

    /// The line and column of a byte offset.
    pub fn position(&self, byte: usize) -> Position {
        let line = self.line_of(byte);
        let start = self.starts[line];
        Position { line: line + 1, column: self.characters_before(byte) - self.characters_before(start) + 1 }
    }

    fn line_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    fn characters_before(&self, byte: usize) -> usize {
        let next = self.checkpoints.partition_point(|(_, start)| *start <= byte);
        let (characters, bytes) = self.checkpoints[next.saturating_sub(1)];
        characters + self.text[bytes..byte].chars().count()
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
                let next = self.checkpoints.partition_point(|(start, _)| *start <= offset);
                let (characters, bytes) = self.checkpoints[next.saturating_sub(1)];
                let rest = &self.text[bytes..];
                bytes + rest.char_indices().nth(offset - characters).map_or(rest.len(), |(byte, _)| byte)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_equal_those_counted_from_the_start() {
        let text: String =
            ["ä€a".repeat(2000), "b".repeat(1023), "c".repeat(1024), String::new(), "é\r".into()].join("\n");
        let lines = Lines::new(text.clone().into(), Syntax::Yaml);
        for (character, (byte, _)) in text.char_indices().enumerate().step_by(7) {
            assert_eq!(lines.bytes(Span::new(character, character + 1)).start, byte);
            let before = &text[..byte];
            let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
            assert_eq!(lines.position(byte), Position { line: before.matches('\n').count() + 1, column });
        }
        assert_eq!(lines.bytes(Span::new(1_000_000, 1_000_001)), text.len()..text.len());
    }
}
