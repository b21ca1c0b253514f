//! A finding: what is wrong, where, and what to write instead.

mod path;
mod span;

pub use crate::diagnostic::{Code, Severity};
pub use path::{FieldPath, Segment, Trail};
pub use span::Span;

use std::path::{Path, PathBuf};

/// Where a finding points.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// At the file or folder, not at anything inside.
    File,
    /// At text that is no field, such as a syntax error.
    Text(Span),
    /// At a field of a document.
    Field(FieldPath),
}

impl From<FieldPath> for Place {
    fn from(path: FieldPath) -> Self {
        Self::Field(path)
    }
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        Self::Text(span)
    }
}

/// Another place that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Related {
    /// File and document, where it is not the finding's own.
    pub origin: Option<(PathBuf, usize)>,
    /// The place in it.
    pub place: Place,
    /// What stands there.
    pub label: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The file, from the project's root.
    pub file: PathBuf,
    /// Which of the file's documents, from 0.
    pub document: usize,
    /// Where in it.
    pub place: Place,
    /// What is at that place; may be empty.
    pub label: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Other places that it is about.
    pub related: Vec<Related>,
    /// The environment whose overrides bring it about; none where the flow has it without them.
    pub environment: Option<String>,
}

impl Finding {
    /// A finding that is not yet said to be in any file: [`Findings::stamp`] says so.
    pub fn new(code: Code, place: impl Into<Place>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            file: PathBuf::new(),
            document: 0,
            place: place.into(),
            label: String::new(),
            help: None,
            related: Vec::new(),
            environment: None,
        }
    }

    /// A finding about a whole file or folder.
    pub fn of_file(code: Code, file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), ..Self::new(code, Place::File, message) }
    }

    /// Says what is at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Says what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at another place of the same document.
    #[must_use]
    pub fn related(mut self, place: impl Into<Place>, label: impl Into<String>) -> Self {
        self.related.push(Related { origin: None, place: place.into(), label: label.into() });
        self
    }

    /// Points at a place of another document.
    #[must_use]
    pub fn related_in(mut self, file: &Path, document: usize, place: impl Into<Place>, label: &str) -> Self {
        let origin = Some((file.to_owned(), document));
        self.related.push(Related { origin, place: place.into(), label: label.to_owned() });
        self
    }

    /// Whether the flow cannot be compiled because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Collects the findings of one file, up to a limit that keeps a broken file from filling memory.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    dropped: usize,
}

impl Findings {
    /// No person reads more than this about one file.
    const LIMIT: usize = 200;

    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        if self.is_full() { self.dropped += 1 } else { self.list.push(finding) }
    }

    /// Whether more would be counted but not kept, so that composing them can be spared.
    pub fn is_full(&self) -> bool {
        self.list.len() >= Self::LIMIT
    }

    /// Those collected since there were `from` of them.
    pub fn since(&self, from: usize) -> &[Finding] {
        &self.list[from..]
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Says of those collected since there were `from` of them which document and environment they are about.
    pub fn stamp(&mut self, from: usize, document: usize, environment: Option<&str>) {
        for finding in &mut self.list[from..] {
            finding.document = document;
            finding.environment = environment.map(str::to_owned);
        }
    }

    /// Takes out those since `from` that were among the ones from `base` to `from` already.
    pub fn drop_repeated(&mut self, base: usize, from: usize) {
        let added = self.list.split_off(from);
        let known = &self.list[base..];
        let is_new = |finding: &Finding| {
            !known.iter().any(|k| (k.code, &k.place, &k.message) == (finding.code, &finding.place, &finding.message))
        };
        let added: Vec<_> = added.into_iter().filter(is_new).collect();
        self.list.extend(added);
    }

    /// Says in which file they are, and ends the collection.
    pub fn finish(mut self, file: &Path) -> Vec<Finding> {
        if self.dropped > 0 {
            let message = format!("{} more findings in this file are not shown", self.dropped);
            let help = "fix the ones above and check again; is this file a flow definition at all?";
            self.list.push(Finding::new(Code::TooManyFindings, Place::File, message).help(help));
        }
        for finding in &mut self.list {
            file.clone_into(&mut finding.file);
        }
        self.list
    }
}
