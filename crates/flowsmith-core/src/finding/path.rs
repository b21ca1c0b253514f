//! A symbolic place in a definition: `steps.ship.depends_on[1]`.

use std::fmt;

/// One step down into a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// A field named from the document's root. It has no position of its own: [`crate::source::Node::locate`] finds that when a
/// finding is rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    segments: Vec<Segment>,
    on_key: bool,
}

impl FieldPath {
    /// The whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// The value under a key.
    #[must_use]
    pub fn key(mut self, name: impl Into<String>) -> Self {
        self.segments.push(Segment::Key(name.into()));
        self.on_key = false;
        self
    }

    /// An element of a list.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.segments.push(Segment::Index(index));
        self.on_key = false;
        self
    }

    /// The key that names the value, rather than the value.
    #[must_use]
    pub fn itself(mut self) -> Self {
        self.on_key = true;
        self
    }

    /// From the root down.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether the key is meant rather than its value.
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

/// A path on the way down a tree, on the stack: a [`FieldPath`] is made of it only where there is something to say.
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
    /// Where every way begins.
    pub const ROOT: Trail<'static> = Trail { above: None, step: Step::Root };

    /// Down to the value of a key.
    pub fn key<'b>(&'b self, name: &'b str) -> Trail<'b>
    where
        'a: 'b,
    {
        Trail { above: Some(self), step: Step::Key(name) }
    }

    /// Down to an element of a list.
    pub fn index<'b>(&'b self, index: usize) -> Trail<'b>
    where
        'a: 'b,
    {
        Trail { above: Some(self), step: Step::Index(index) }
    }

    /// The path from the root.
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
