//! Finds lines and columns of findings.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowsmith_core::definition::environment;
use flowsmith_core::finding::Span;
use flowsmith_core::finding::{Finding, Findings, Place};
use flowsmith_core::source::{Lines, Node, Position, Sources, Syntax, parse};

/// A finding with its positions.
#[derive(Debug, Clone)]
pub struct Located {
    /// The finding.
    pub finding: Finding,
    /// The position; none if the finding is about a whole file.
    pub at: Option<Location>,
    /// The related positions, in the order of the finding.
    pub related: Vec<Option<Location>>,
}

/// A range within one line of a file.
#[derive(Debug, Clone)]
pub struct Location {
    /// The file, relative to the root of the project.
    pub file: PathBuf,
    /// The first character.
    pub start: Position,
    /// The end, exclusive.
    pub end: Position,
    /// The range in bytes.
    pub bytes: Range<usize>,
    /// The text of the file.
    pub text: Arc<str>,
}

pub(super) fn locate(findings: &[Finding], sources: &Sources) -> Vec<Located> {
    let mut located: Vec<Located> = findings
        .iter()
        .map(|finding| Located { finding: finding.clone(), at: None, related: vec![None; finding.related.len()] })
        .collect();
    let mut wanted: Vec<Wanted<'_>> = findings.iter().enumerate().flat_map(Wanted::of).collect();
    // Each file is loaded once, and each document is merged once with each environment; only one of each is in memory.
    wanted.sort_by_key(|wanted| (wanted.file, wanted.document, wanted.environment));
    for of_one_file in wanted.chunk_by(|a, b| a.file == b.file) {
        let Some(mut file) = of_one_file.first().and_then(|wanted| load(wanted.file, sources)) else { continue };
        for wanted in of_one_file {
            let location = file.location(wanted);
            let located = &mut located[wanted.finding];
            match wanted.related {
                None => located.at = location,
                Some(related) => located.related[related] = location,
            }
        }
    }
    located.sort_by(|a, b| {
        let (a_start, b_start) = (a.at.as_ref().map(|at| at.start), b.at.as_ref().map(|at| at.start));
        (&a.finding.file, a_start, a.finding.code).cmp(&(&b.finding.file, b_start, b.finding.code))
    });
    located
}

/// A place whose position is wanted.
struct Wanted<'f> {
    /// The index of the finding.
    finding: usize,
    /// The index of its related place; `None` for its own.
    related: Option<usize>,
    file: &'f Path,
    document: usize,
    environment: Option<&'f str>,
    place: &'f Place,
}

impl<'f> Wanted<'f> {
    fn of((index, finding): (usize, &'f Finding)) -> impl Iterator<Item = Self> {
        let own = Self {
            finding: index,
            related: None,
            file: &finding.file,
            document: finding.document,
            environment: finding.environment.as_deref(),
            place: &finding.place,
        };
        let related = finding.related.iter().enumerate().map(move |(place, related)| {
            let (file, document, environment) = match &related.origin {
                Some((file, document)) => (file, *document, None),
                None => (&finding.file, finding.document, finding.environment.as_deref()),
            };
            Self { finding: index, related: Some(place), file, document, environment, place: &related.place }
        });
        std::iter::once(own).chain(related).filter(|wanted| *wanted.place != Place::File)
    }
}

/// A parsed file.
struct File {
    name: PathBuf,
    lines: Lines,
    documents: Vec<Node>,
    /// The last document that was merged with the overrides of an environment.
    merged: Option<(usize, String, Node)>,
}

fn load(name: &Path, sources: &Sources) -> Option<File> {
    let text = sources.read(name).ok()?;
    let documents = parse(&text, name, &mut Findings::default());
    let lines = Lines::new(text.into(), Syntax::of(name).unwrap_or(Syntax::Yaml));
    Some(File { name: name.to_owned(), lines, documents, merged: None })
}

impl File {
    fn location(&mut self, wanted: &Wanted<'_>) -> Option<Location> {
        let span = self.span(wanted)?;
        let bytes = self.lines.on_one_line(self.lines.bytes(span));
        Some(Location {
            file: self.name.clone(),
            start: self.lines.position(bytes.start),
            end: self.lines.position(bytes.end),
            bytes,
            text: Arc::clone(self.lines.text()),
        })
    }

    fn span(&mut self, wanted: &Wanted<'_>) -> Option<Span> {
        let path = match wanted.place {
            Place::File => return None,
            Place::Text(span) => return Some(*span),
            Place::Field(path) => path,
        };
        let node = self.documents.get(wanted.document)?;
        let Some(environment) = wanted.environment else { return Some(node.locate(path)) };
        let is_current =
            |(document, name, _): &(usize, String, Node)| *document == wanted.document && name == environment;
        if !self.merged.as_ref().is_some_and(is_current) {
            self.merged = Some((wanted.document, environment.to_owned(), environment::merged(node, environment)));
        }
        self.merged.as_ref().map(|(_, _, node)| node.locate(path))
    }
}
