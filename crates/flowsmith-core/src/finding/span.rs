//! A literal place in a file.

/// A range in the file's text. The unit is the parser's: characters in YAML, bytes in TOML; [`crate::source::Lines`] turns
/// either into lines and columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first unit.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

impl Span {
    /// From offsets; those past four thousand million, which no accepted file has, stick to the end.
    pub fn new(start: usize, end: usize) -> Self {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: clamp(start), end: clamp(end) }
    }

    /// Whether nothing is inside, as for a key without a value.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}
