//! The check of selected files of a large project, for editors and commit hooks. Of the other files, only the names of their
//! flows are read.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::file::{self, FileResult};
use super::rules::project;
use super::{CheckSettings, Checked, collect};
use crate::catalog::FlowId;
use crate::finding::{Code, Finding};
use crate::source::{Sources, Syntax};
use crate::words;

/// Checks the given files, including collisions with the rest of the project. The catalog contains only their flows, so the
/// state of a version does not take versions in other files into account.
pub fn check_files(only: &[PathBuf], sources: &Sources, settings: &CheckSettings) -> Checked {
    let only: BTreeSet<_> = only.iter().cloned().collect();
    let (files, mut findings) = sources.discover();
    let check = |name: &PathBuf| match sources.has(name) {
        true => file::check(sources, name, settings),
        false => missing(name, &files),
    };
    let results: Vec<_> = only.par_iter().map(check).collect();
    let names = || results.iter().flat_map(FileResult::names);
    // A trigger may name the queue of another flow.
    let queues = names().flat_map(|named| named.queues).map(|(_, queue)| queue.to_ascii_lowercase());
    let wanted: HashSet<_> = names().map(|named| folded(&named.id.slug, named.id.version)).chain(queues).collect();
    // Files whose names a scan cannot determine, and files that may collide, are checked in full.
    let others: Vec<_> = files
        .par_iter()
        .filter(|name| !only.contains(*name))
        .filter(|name| match sources.read(name) {
            Ok(text) => scan_names(&text, name).is_none_or(|names| names.iter().any(|name| wanted.contains(name))),
            // An unreadable file that was not requested: it has no name that could collide.
            Err(_) => false,
        })
        .map(|name| file::check(sources, name, settings))
        .collect();
    let mut all: Vec<_> = results.iter().chain(&others).collect();
    all.sort_by(|a, b| a.file.cmp(&b.file));
    let collisions = project::check(all.into_iter().flat_map(FileResult::names));
    findings.extend(collisions.into_iter().filter(|finding| {
        let related = finding.related.iter().filter_map(|related| related.origin.as_ref());
        only.contains(&finding.file) || related.into_iter().any(|(file, _)| only.contains(file))
    }));
    findings.retain(|finding| finding.place != crate::finding::Place::File || only.contains(&finding.file));
    collect(results, findings)
}

/// The result for a requested file that does not exist; `files` are the existing ones.
fn missing(name: &Path, files: &[PathBuf]) -> FileResult {
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let stems: Vec<String> = files.iter().map(|file| stem(file)).collect();
    let near = words::nearest(&stem(name), stems.iter().map(String::as_str));
    let near = near.and_then(|near| files.iter().find(|file| stem(file) == near));
    let finding = Finding::of_file(Code::Unreadable, name, "no such file".to_owned()).help(match near {
        Some(near) => format!("did you mean `{}`?", near.display()),
        None => "name files relative to the current folder, or run `flowsmith check` to check every file".to_owned(),
    });
    FileResult { file: name.to_owned(), findings: vec![finding], ..FileResult::default() }
}

/// A database slug in lower case: queue names are not case-sensitive.
fn folded(slug: &str, version: u32) -> String {
    FlowId::new(slug, version).database_slug().to_ascii_lowercase()
}

/// Scans a file for the names of its flows without parsing it. Returns `None` unless each document has a plain `flow:` and at
/// most one plain `version:` at the start of a line.
fn scan_names(text: &str, name: &Path) -> Option<Vec<String>> {
    let separator = match Syntax::of(name)? {
        Syntax::Yaml => ':',
        Syntax::Toml => '=',
    };
    let mut names = Vec::new();
    let (mut slug, mut version) = (None, None);
    for line in text.lines() {
        if separator == ':' && line.starts_with("---") {
            names.extend(ended(&mut slug, &mut version)?);
        } else if separator == '=' && line.trim_start().starts_with('[') {
            // The keys below a header belong to its table.
            break;
        }
        let found = if line.starts_with("flow") {
            plain(line, "flow", separator).map(|value| slug.replace(value))
        } else if line.starts_with("version") {
            plain(line, "version", separator).map(|value| version.replace(value))
        } else {
            if line.starts_with(['"', '\'', '{', '?', '&', '!', '%', '\t']) {
                return None;
            }
            continue;
        };
        // The key is repeated, or its value needs a parser.
        if found.is_none_or(|before| before.is_some()) {
            return None;
        }
    }
    names.extend(ended(&mut slug, &mut version)?);
    (!names.is_empty()).then_some(names)
}

/// The name at the end of a document: `Some(None)` for an empty document, `None` for one with only a version.
fn ended(slug: &mut Option<&str>, version: &mut Option<&str>) -> Option<Option<String>> {
    match (slug.take(), version.take()) {
        (None, None) => Some(None),
        (None, Some(_)) => None,
        (Some(slug), version) => Some(Some(folded(slug, version.map_or(Some(1), |version| version.parse().ok())?))),
    }
}

/// The value after `key:`; `None` if it is not a plain word.
fn plain<'t>(line: &'t str, key: &str, separator: char) -> Option<&'t str> {
    let value = line.strip_prefix(key)?.trim_start().strip_prefix(separator)?;
    let value = value.split_once(" #").map_or(value, |(value, _)| value).trim();
    let value = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(value);
    let is_word = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word.then_some(value)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::scan_names;

    fn scan(name: &str, text: &str) -> Option<Vec<String>> {
        scan_names(text, Path::new(name))
    }

    #[test]
    fn plain_names_are_scanned() {
        assert_eq!(
            scan("a.yaml", "# hi\nflow: Order  # it\nversion: 2\nsteps:\n  flow: {}\n"),
            Some(vec!["order_v2".into()])
        );
        assert_eq!(scan("a.yaml", "flow: a\n---\nflow: \"b\"\n---\n"), Some(vec!["a".into(), "b".into()]));
        assert_eq!(scan("a.toml", "flow = \"a\"\nversion = 3\n[steps.x]\nversion = 4\n"), Some(vec!["a_v3".into()]));
    }

    #[test]
    fn other_names_are_left_to_the_parser() {
        for (name, text) in [
            ("a.yaml", "{flow: a, steps: {b: {}}}"),
            ("a.yaml", "\"flow\": a\n"),
            ("a.yaml", "flow: &x a\n"),
            ("a.yaml", "flow: a\nflow: b\n"),
            ("a.yaml", "steps: {}\n"),
            ("a.yaml", "version: 2\n"),
            ("a.yaml", "flow:\n  a\n"),
            ("a.yaml", " flow: a\n steps: {}\n"),
            ("a.toml", "\"flow\" = 'a'\n"),
        ] {
            assert_eq!(scan(name, text), None, "{text}");
        }
    }
}
