//! Spans: literal locations in a file.

/// A range of a file's text. Its unit depends on the parser: characters in YAML, bytes in TOML. [`crate::source::Lines`]
/// converts both to lines and columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The offset of the first unit.
    pub start: u32,
    /// The offset after the last unit.
    pub end: u32,
}

impl Span {
    /// Creates a span. Offsets above `u32::MAX` are clamped; files are limited to [`crate::file::MAX_FLOW_FILE_BYTES`].
    pub fn new(start: usize, end: usize) -> Self {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: clamp(start), end: clamp(end) }
    }

    /// Whether the span is empty, as for a key without a value.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}
