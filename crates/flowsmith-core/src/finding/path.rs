//! Field paths: symbolic locations in a definition, such as `steps.ship.depends_on[1]`.

use std::fmt;

/// One element of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of a mapping.
    Key(String),
    /// An index of a list, from 0.
    Index(usize),
}

/// The path of a field from the root of its document. It has no position: [`crate::source::Node::locate`] looks it up
/// when a finding is rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    segments: Vec<Segment>,
    on_key: bool,
}

impl FieldPath {
    /// The path of the whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// Appends a key.
    #[must_use]
    pub fn key(mut self, name: impl Into<String>) -> Self {
        self.segments.push(Segment::Key(name.into()));
        self.on_key = false;
        self
    }

    /// Appends an index of a list.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.segments.push(Segment::Index(index));
        self.on_key = false;
        self
    }

    /// Points at the last key instead of its value.
    #[must_use]
    pub fn itself(mut self) -> Self {
        self.on_key = true;
        self
    }

    /// The elements, from the root down.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether the path points at the last key instead of its value.
    pub fn is_on_key(&self) -> bool {
        self.on_key
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Key(name) if position == 0 => f.write_str(name)?,
                Segment::Key(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A path under construction while a tree is walked. It lives on the stack and allocates nothing; a [`FieldPath`] is built
/// from it only when there is a finding.
#[derive(Debug, Clone, Copy)]
pub struct Trail<'a> {
    above: Option<&'a Trail<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Trail<'a> {
    /// The root of a document.
    pub const ROOT: Trail<'static> = Trail { above: None, step: Step::Root };

    /// Descends to the value of a key.
    pub fn key<'b>(&'b self, name: &'b str) -> Trail<'b>
    where
        'a: 'b,
    {
        Trail { above: Some(self), step: Step::Key(name) }
    }

    /// Descends to an element of a list.
    pub fn index<'b>(&'b self, index: usize) -> Trail<'b>
    where
        'a: 'b,
    {
        Trail { above: Some(self), step: Step::Index(index) }
    }

    /// Builds the path from the root.
    pub fn path(&self) -> FieldPath {
        let above = self.above.map_or_else(FieldPath::root, Trail::path);
        match self.step {
            Step::Root => above,
            Step::Key(name) => above.key(name),
            Step::Index(index) => above.index(index),
        }
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().fmt(f)
    }
}
