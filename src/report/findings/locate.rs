//! Finds lines and columns of findings.

use std::collections::HashMap;
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
    let mut located = Vec::with_capacity(findings.len());
    // Only the files of one group of findings are in memory at a time.
    for of_one_file in findings.chunk_by(|a, b| a.file == b.file) {
        let mut files = Files { sources, loaded: HashMap::new() };
        located.extend(of_one_file.iter().map(|finding| files.locate(finding)));
    }
    located.sort_by(|a, b| {
        let (a_start, b_start) = (a.at.as_ref().map(|at| at.start), b.at.as_ref().map(|at| at.start));
        (&a.finding.file, a_start, a.finding.code).cmp(&(&b.finding.file, b_start, b.finding.code))
    });
    located
}

/// Parsed files.
struct Files<'s> {
    sources: &'s Sources,
    loaded: HashMap<PathBuf, Option<File>>,
}

struct File {
    lines: Lines,
    documents: Vec<Node>,
    /// Documents merged with the overrides of an environment.
    merged: HashMap<(usize, String), Node>,
}

impl Files<'_> {
    fn locate(&mut self, finding: &Finding) -> Located {
        let environment = finding.environment.as_deref();
        let at = self.location(&finding.file, finding.document, environment, &finding.place);
        let related = finding
            .related
            .iter()
            .map(|related| match &related.origin {
                Some((file, document)) => self.location(file, *document, None, &related.place),
                None => self.location(&finding.file, finding.document, environment, &related.place),
            })
            .collect();
        Located { finding: finding.clone(), at, related }
    }

    fn location(&mut self, name: &Path, document: usize, environment: Option<&str>, place: &Place) -> Option<Location> {
        if *place == Place::File {
            return None;
        }
        if !self.loaded.contains_key(name) {
            self.loaded.insert(name.to_owned(), load(name, self.sources));
        }
        let file = self.loaded.get_mut(name)?.as_mut()?;
        let span = file.span(document, environment, place)?;
        let bytes = file.lines.on_one_line(file.lines.bytes(span));
        Some(Location {
            file: name.to_owned(),
            start: file.lines.position(bytes.start),
            end: file.lines.position(bytes.end),
            bytes,
            text: Arc::clone(file.lines.text()),
        })
    }
}

fn load(name: &Path, sources: &Sources) -> Option<File> {
    let text = sources.read(name).ok()?;
    let documents = parse(&text, name, &mut Findings::default());
    let lines = Lines::new(text.into(), Syntax::of(name).unwrap_or(Syntax::Yaml));
    Some(File { lines, documents, merged: HashMap::new() })
}

impl File {
    fn span(&mut self, document: usize, environment: Option<&str>, place: &Place) -> Option<Span> {
        let path = match place {
            Place::File => return None,
            Place::Text(span) => return Some(*span),
            Place::Field(path) => path,
        };
        let node = self.documents.get(document)?;
        let Some(environment) = environment else { return Some(node.locate(path)) };
        let key = (document, environment.to_owned());
        let merged = self.merged.entry(key).or_insert_with(|| environment::merged(node, environment));
        Some(merged.locate(path))
    }
}
