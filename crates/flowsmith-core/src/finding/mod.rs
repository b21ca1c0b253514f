//! Findings: problems in flow files, each with its location and a suggested fix.

mod path;
mod span;

pub use crate::diagnostic::{Code, Severity};
pub use path::{FieldPath, Segment, Trail};
pub use span::Span;

use std::path::{Path, PathBuf};

use crate::words::shortened;

/// The location of a finding within its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The file or folder as a whole.
    File,
    /// A range of the text that does not belong to a field, such as a syntax error.
    Text(Span),
    /// A field of the document.
    Field(FieldPath),
}

impl Place {
    fn path_bytes(&self) -> usize {
        let Self::Field(path) = self else { return 0 };
        let bytes = |segment: &Segment| if let Segment::Key(name) = segment { name.len() } else { 0 };
        path.segments().iter().map(bytes).sum()
    }
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

/// A secondary location of a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Related {
    /// The file and the document's index in it; `None` for the finding's own document.
    pub origin: Option<(PathBuf, usize)>,
    /// The location within that document.
    pub place: Place,
    /// The note shown at the location.
    pub label: String,
}

/// A problem in a flow file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that is violated.
    pub code: Code,
    /// The severity of its code.
    pub severity: Severity,
    /// The problem, in one clause without a final full stop.
    pub message: String,
    /// The path of the file, relative to the root of the project.
    pub file: PathBuf,
    /// The index of the document in the file, from 0.
    pub document: usize,
    /// The location within the document.
    pub place: Place,
    /// The note shown at the location; may be empty.
    pub label: String,
    /// The suggested fix, as an imperative.
    pub help: Option<String>,
    /// Secondary locations.
    pub related: Vec<Related>,
    /// The environment whose overrides cause the finding; `None` if the flow has it without overrides.
    pub environment: Option<String>,
}

impl Finding {
    /// Creates a finding without a file. [`Findings::stamp`] sets its document, [`Findings::finish`] its file.
    pub fn new(code: Code, place: impl Into<Place>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: shortened(message.into()),
            file: PathBuf::new(),
            document: 0,
            place: place.into(),
            label: String::new(),
            help: None,
            related: Vec::new(),
            environment: None,
        }
    }

    /// Creates a finding about a whole file or folder.
    pub fn of_file(code: Code, file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), ..Self::new(code, Place::File, message) }
    }

    /// Sets the note shown at the location.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = shortened(label.into());
        self
    }

    /// Sets the suggested fix.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shortened(help.into()));
        self
    }

    /// Adds a secondary location in the same document.
    #[must_use]
    pub fn related(mut self, place: impl Into<Place>, label: impl Into<String>) -> Self {
        self.related.push(Related { origin: None, place: place.into(), label: shortened(label.into()) });
        self
    }

    /// Adds a secondary location in another document.
    #[must_use]
    pub fn related_in(mut self, file: &Path, document: usize, place: impl Into<Place>, label: &str) -> Self {
        let origin = Some((file.to_owned(), document));
        self.related.push(Related { origin, place: place.into(), label: label.to_owned() });
        self
    }

    /// Whether the finding prevents the flow from being compiled.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The findings of one file. Their number and size are limited, so that a large broken file cannot exhaust memory.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    dropped: usize,
    /// The size of the field paths in the list. A key of a path can be as long as a file.
    path_bytes: usize,
    /// The work spent on schemas, in thousands of steps.
    work: u64,
}

impl Findings {
    /// Longer reports are not read: such a file is usually not a flow definition at all.
    const LIMIT: usize = 200;

    /// The maximum size of all field paths, in bytes.
    const PATH_LIMIT: usize = 1024 * 1024;

    /// Adds a finding, or only counts it if the limit is reached.
    pub fn push(&mut self, finding: Finding) {
        if self.is_full() {
            self.dropped += 1;
            return;
        }
        let places = finding.related.iter().map(|related| &related.place).chain([&finding.place]);
        self.path_bytes += places.map(Place::path_bytes).sum::<usize>();
        self.list.push(finding);
    }

    /// Whether the limit is reached. Further findings are counted but not kept, so rules can skip building them.
    pub fn is_full(&self) -> bool {
        self.list.len() >= Self::LIMIT || self.path_bytes >= Self::PATH_LIMIT
    }

    /// The maximum work for the schemas of a file, in thousands of steps.
    pub(crate) const WORK_LIMIT: u64 = 10_000;

    /// Spends work on the schemas of the file. Returns false if they have exceeded the limit, also by this.
    pub(crate) fn spend(&mut self, work: u64) -> bool {
        self.work = self.work.saturating_add(work);
        self.work <= Self::WORK_LIMIT
    }

    /// The findings from index `from` on.
    pub fn since(&self, from: usize) -> &[Finding] {
        &self.list[from..]
    }

    /// The number of findings kept.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are no findings.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sets the document and the environment of the findings from index `from` on.
    pub fn stamp(&mut self, from: usize, document: usize, environment: Option<&str>) {
        for finding in &mut self.list[from..] {
            finding.document = document;
            finding.environment = environment.map(str::to_owned);
        }
    }

    /// Removes the findings from index `from` on that repeat one in `base..from`.
    pub fn drop_repeated(&mut self, base: usize, from: usize) {
        let added = self.list.split_off(from);
        let known = &self.list[base..];
        let is_new = |finding: &Finding| {
            !known.iter().any(|k| (k.code, &k.place, &k.message) == (finding.code, &finding.place, &finding.message))
        };
        let added: Vec<_> = added.into_iter().filter(is_new).collect();
        self.list.extend(added);
    }

    /// Sets the file of every finding and returns them; adds [`Code::TooManyFindings`] if some were dropped.
    pub fn finish(mut self, file: &Path) -> Vec<Finding> {
        if self.dropped > 0 {
            let message = format!("{} more findings in this file are not shown", self.dropped);
            let help = "fix the findings shown and check again, or move the file if it is not a flow definition";
            self.list.push(Finding::new(Code::TooManyFindings, Place::File, message).help(help));
        }
        for finding in &mut self.list {
            file.clone_into(&mut finding.file);
        }
        self.list
    }
}
