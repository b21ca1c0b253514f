//! From the places that findings name to lines and columns.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check::{Finding, Findings, Place};
use crate::definition::environment;
use crate::source::{Lines, Node, Position, Sources, Span, Syntax, parse};

/// A finding and where it stands.
#[derive(Debug, Clone)]
pub struct Located {
    /// What is wrong.
    pub finding: Finding,
    /// Where; none where it is about a whole file.
    pub at: Option<Location>,
    /// The other places that it is about, in the order of the finding's own list.
    pub related: Vec<Option<Location>>,
}

/// A place in a file's text, always within one line.
#[derive(Debug, Clone)]
pub struct Location {
    /// The file, from the project's root.
    pub file: PathBuf,
    /// The first character.
    pub start: Position,
    /// One past the last.
    pub end: Position,
    /// The same as bytes of the text.
    pub bytes: Range<usize>,
    /// The whole text.
    pub text: Arc<str>,
}

/// A file that has findings, read and parsed again.
struct File {
    text: Arc<str>,
    documents: Vec<Node>,
}

pub(super) fn locate(findings: &[Finding], sources: &Sources) -> Vec<Located> {
    let mut names: Vec<&Path> = findings.iter().flat_map(named_files).collect();
    names.sort_unstable();
    names.dedup();
    let mut located = Vec::with_capacity(findings.len());
    // Only as many files are held at a time as one finding needs: findings come by file.
    let files: BTreeMap<&Path, File> =
        names.into_iter().filter_map(|name| Some((name, load(name, sources)?))).collect();
    let lines: HashMap<&Path, Lines<'_>> = files
        .iter()
        .map(|(name, file)| (*name, Lines::new(&file.text, Syntax::of(name).unwrap_or(Syntax::Yaml))))
        .collect();
    let mut merged = HashMap::new();
    for finding in findings {
        let mut find = |name: &Path, document: usize, place: &Place| {
            let (name, file) = files.get_key_value(name)?;
            let span = span(file, name, document, finding.environment.as_deref(), place, &mut merged)?;
            Some(location(name, file, &lines[name], span))
        };
        let at = find(&finding.file, finding.document, &finding.place);
        let related = finding
            .related
            .iter()
            .map(|related| match &related.origin {
                Some((name, document)) => find(name, *document, &related.place),
                None => find(&finding.file, finding.document, &related.place),
            })
            .collect();
        located.push(Located { finding: finding.clone(), at, related });
    }
    located.sort_by(|a, b| {
        let key = |each: &Located| (each.finding.file.clone(), each.at.as_ref().map(|at| at.start), each.finding.code);
        key(a).cmp(&key(b))
    });
    located
}

fn named_files(finding: &Finding) -> impl Iterator<Item = &Path> {
    let own = (finding.place != Place::File).then_some(finding.file.as_path());
    own.into_iter()
        .chain(finding.related.iter().filter_map(|related| related.origin.as_ref().map(|(file, _)| file.as_path())))
}

fn load(name: &Path, sources: &Sources) -> Option<File> {
    let text = sources.read(name).ok()?;
    let documents = parse(&text, name, &mut Findings::default());
    Some(File { text: text.into(), documents })
}

fn span<'f>(
    file: &File,
    name: &'f Path,
    document: usize,
    environment: Option<&str>,
    place: &Place,
    merged: &mut HashMap<(&'f Path, usize, String), Node>,
) -> Option<Span> {
    let path = match place {
        Place::File => return None,
        Place::Text(span) => return Some(*span),
        Place::Field(path) => path,
    };
    let node = file.documents.get(document)?;
    let Some(environment) = environment else { return Some(node.locate(path)) };
    let key = (name, document, environment.to_owned());
    Some(merged.entry(key).or_insert_with(|| environment::merged(node, environment)).locate(path))
}

fn location(name: &Path, file: &File, lines: &Lines<'_>, span: Span) -> Location {
    let bytes = lines.on_one_line(lines.bytes(span));
    Location {
        file: name.to_owned(),
        start: lines.position(bytes.start),
        end: lines.position(bytes.end),
        bytes,
        text: Arc::clone(&file.text),
    }
}
