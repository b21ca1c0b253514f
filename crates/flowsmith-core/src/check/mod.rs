//! The check: from flow files to the desired [`Catalog`] and every problem that can be found without a database.

pub mod expression;
mod file;
mod lower;
mod only;
pub mod order;
mod rules;

pub use only::check_files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::file::FileResult;
use self::rules::project;
use crate::catalog::{Catalog, State};
use crate::finding::{Code, Finding};
use crate::level::Level;
use crate::source::Sources;

/// The settings of a check.
#[derive(Debug, Clone, Default)]
pub struct CheckSettings {
    /// The target level of the engine; `None` allows every feature.
    pub engine: Option<Level>,
    /// The environment whose overrides are merged into the catalog; `None` for the flows as written.
    pub environment: Option<String>,
    /// Whether the environment is declared outside of the flow files, so that no flow has to declare it.
    pub environment_is_known: bool,
}

/// The place of a flow's definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The path of the file, relative to the root of the project.
    pub file: PathBuf,
    /// The index of the document in the file, from 0.
    pub document: usize,
}

/// The result of a check.
#[derive(Debug, Default)]
pub struct Checked {
    /// The flows without errors.
    pub catalog: Catalog,
    /// The place of each flow's definition, by database slug.
    pub origins: BTreeMap<String, Origin>,
    /// All findings, sorted by file and document.
    pub findings: Vec<Finding>,
    /// The number of files checked.
    pub files: usize,
    /// The number of steps in the catalog.
    pub steps: usize,
    /// The number of triggers in the catalog.
    pub triggers: usize,
    /// The environments that the files declare.
    pub environments: BTreeSet<String>,
}

impl Checked {
    /// Whether a finding is an error.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }

    /// Whether the flow files are refused: for any error, and if `strict` for any warning too.
    pub fn is_refused(&self, strict: bool) -> bool {
        self.has_errors() || strict && !self.findings.is_empty()
    }
}

/// Checks every flow file of a project.
pub fn check(sources: &Sources, settings: &CheckSettings) -> Checked {
    let (files, mut findings) = sources.discover();
    if let (Sources::Folder { flows, .. }, true, true) = (sources, files.is_empty(), findings.is_empty()) {
        let message = "no flow files in this folder".to_owned();
        let help = "create one, such as `order.yaml` (`flowsmith init` writes an example), or name another folder with --flows";
        findings.push(Finding::of_file(Code::NoFlowFiles, flows, message).help(help));
    }
    let results: Vec<_> = files.par_iter().map(|name| file::check(sources, name, settings)).collect();
    findings.extend(project::check(results.iter().flat_map(FileResult::names)));
    if let Some(wanted) = &settings.environment {
        findings.extend(known_environment(wanted, &results, sources).filter(|_| !settings.environment_is_known));
    }
    collect(results, findings)
}

/// The finding for a requested environment that no flow declares.
fn known_environment(wanted: &str, results: &[FileResult], sources: &Sources) -> Option<Finding> {
    let known: BTreeSet<_> = results.iter().flat_map(|result| result.environments.iter().map(String::as_str)).collect();
    if known.contains(wanted) || results.is_empty() {
        return None;
    }
    let folder = match sources {
        Sources::Folder { flows, .. } => flows.as_path(),
        Sources::Memory(_) => results.first().map_or(Path::new(""), |result| &result.file),
    };
    Some(project::unknown_environment(wanted, &known.into_iter().collect::<Vec<_>>(), folder))
}

/// Merges the results of the files; `findings` are those that involve more than one file.
fn collect(results: Vec<FileResult>, mut findings: Vec<Finding>) -> Checked {
    let refused: BTreeSet<_> = findings
        .iter()
        .filter(|finding| finding.is_error())
        .map(|finding| (finding.file.clone(), finding.document))
        .collect();
    let mut checked = Checked { files: results.len(), ..Checked::default() };
    for result in results {
        checked.environments.extend(result.environments);
        findings.extend(result.findings);
        for flow in result.flows {
            let origin = Origin { file: result.file.clone(), document: flow.document };
            let Some(lowered) = flow.lowered else { continue };
            if refused.contains(&(origin.file.clone(), origin.document)) {
                continue;
            }
            let slug = lowered.id.database_slug();
            checked.steps += lowered.steps.len();
            checked.triggers += lowered.triggers.len();
            checked.origins.insert(slug, origin);
            checked.catalog.insert(lowered);
        }
    }
    drain_older_versions(&mut checked.catalog);
    findings.sort_by(|a, b| {
        (&a.file, a.document, &a.environment, a.code, &a.place, &a.message).cmp(&(
            &b.file,
            b.document,
            &b.environment,
            b.code,
            &b.place,
            &b.message,
        ))
    });
    checked.findings = findings;
    checked
}

/// Marks all but the highest version of each flow as draining: only the highest version starts new runs.
fn drain_older_versions(catalog: &mut Catalog) {
    let mut highest: BTreeMap<String, u32> = BTreeMap::new();
    for (_, flow) in catalog.iter().filter(|(_, flow)| flow.id.version > 1) {
        let version = highest.entry(flow.id.slug.clone()).or_default();
        *version = flow.id.version.max(*version);
    }
    let older: Vec<_> = catalog
        .iter()
        .filter(|(_, flow)| highest.get(&flow.id.slug).is_some_and(|highest| flow.id.version < *highest))
        .map(|(slug, _)| slug.to_owned())
        .collect();
    for slug in older {
        if let Some(flow) = catalog.get_mut(&slug) {
            flow.state = State::Draining;
        }
    }
}
